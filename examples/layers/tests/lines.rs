//! Lines that each customer of the coherence layer, and of `shootdown-host`, writes for the engine.

/// Customer, file, and most lines of its platform.
const PLATFORMS: [(&str, &str, usize); 5] = [
    ("trampoline kernel", include_str!("../../trampoline/src/platform.rs"), 60),
    ("own lifetimes", include_str!("../src/bin/own_lifetimes.rs"), 60),
    ("guest on hypercalls", include_str!("../src/bin/hypercalls.rs"), 90),
    ("isolated CPUs", include_str!("../src/bin/isolated_cpus.rs"), 60),
    ("JIT emulator", include_str!("../../jit/src/platform.rs"), 60),
];

/// Lines that are neither empty nor comments, up to where a program uses what it has written for the engine.
fn lines(source: &str) -> usize {
    let ends =
        ["/// An address space of this kernel.", "/// The other side", "/// The first thing that runs"];
    let platform =
        source.lines().map(str::trim).take_while(|line| !ends.iter().any(|end| line.starts_with(end)));
    platform.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn platforms_are_as_short_as_the_porting_guide_promises() {
    for (customer, source, most) in PLATFORMS {
        let lines = lines(source);
        println!("{customer}: {lines} lines of platform, at most {most}");
        assert!((20..=most).contains(&lines), "{customer}: {lines} lines");
    }
}
