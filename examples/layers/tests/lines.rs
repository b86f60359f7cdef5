//! Lines that each customer of the coherence layer, and of `shootdown-host`, writes for the engine.

/// Customer, the file or files of its platform, and most lines.
const PLATFORMS: [(&str, &str, usize); 5] = [
    ("trampoline kernel", include_str!("../../trampoline/src/platform.rs"), 60),
    ("own lifetimes", include_str!("../../own-lifetimes/src/platform.rs"), 60),
    ("guest on hypercalls", include_str!("../../hypercalls/src/platform.rs"), 90),
    ("isolated CPUs", include_str!("../../isolated-cpus/src/platform.rs"), 60),
    (
        "JIT emulator",
        concat!(include_str!("../../jit/src/platform.rs"), include_str!("../../jit/src/fibers.rs")),
        60,
    ),
];

/// Lines that are neither empty nor comments.
fn lines(source: &str) -> usize {
    source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[test]
fn platforms_are_as_short_as_the_porting_guide_promises() {
    for (customer, source, most) in PLATFORMS {
        let lines = lines(source);
        println!("{customer}: {lines} lines of platform, at most {most}");
        assert!((20..=most).contains(&lines), "{customer}: {lines} lines");
    }
}
