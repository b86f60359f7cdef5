//! Platforms that take the program down with them are findings as well.

use shootdown_doctor::{Build, DoctorError, Report, Verdict, examine_path};
use std::path::{Path, PathBuf};
use std::time::Duration;

fn kernel_with(name: &str, old: &str, new: &str) -> PathBuf {
    let sound = include_str!("../toy_kernel.rs");
    assert_eq!(sound.matches(old).count(), 1, "{old} stands there once");
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, sound.replace(old, new)).expect("a place to write to");
    path
}

fn only_finding(report: &Report) -> (&str, &str) {
    let wrong: Vec<_> = report.wrong().collect();
    assert_eq!(wrong.len(), 1, "{report}");
    (&wrong[0].check, wrong[0].what.as_deref().unwrap_or_default())
}

#[test]
fn a_test_of_ones_own_examines_a_file() {
    let report =
        examine_path(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/toy_kernel.rs"))).expect("it compiles");
    assert!(report.is_sound(), "{report}");
}

#[test]
fn a_teardown_that_is_dropped_again_is_found_though_the_stack_runs_out() {
    let old = "let kept = self.room.deferred.put(teardown.into_handle());";
    let path = kernel_with("drops.rs", old, "drop(teardown);\n        let kept = Ok::<(), ()>(());");
    let report = examine_path(&path).expect("it compiles");
    let (check, what) = only_finding(&report);
    assert!(check == "defer-teardown" && what.contains("ran out of stack"), "{report}");
}

#[test]
fn a_loop_that_the_machine_does_not_see_is_found_and_ended() {
    let path = kernel_with("spins.rs", "self.ports.pause();", "loop {}");
    let build = Build { patience: Duration::from_secs(10), ..Build::default() };
    let report = build.examine(&path, |_| {}).expect("it compiles");
    let (check, what) = only_finding(&report);
    assert!(check == "relax" && what.contains("wait_until"), "{report}");
    assert!(report.checks.iter().all(|check| check.verdict != Verdict::Undecided));
}

#[test]
fn a_machine_that_needs_no_barriers_is_not_asked_for_any() {
    let sound = include_str!("../toy_kernel.rs");
    let without =
        ["self.ports.order_before_interrupt();", "self.ports.complete();", "self.ports.publish_tables();"];
    let text = without.iter().fold(sound.to_owned(), |text, barrier| text.replace(barrier, ""));
    let declared = "const NEEDS_BARRIERS: bool = false;\n    type Room = Room<H>;";
    let text = text.replace("type Room = Room<H>;", declared);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ordered.rs");
    std::fs::write(&path, text).expect("a place to write to");
    let report = examine_path(&path).expect("it compiles");
    assert!(report.is_sound(), "{report}");
    let unneeded = report.checks.iter().filter(|check| check.verdict == Verdict::Unneeded);
    let names: Vec<&str> = unneeded.map(|check| check.check.as_str()).collect();
    assert_eq!(
        names,
        [
            "pin",
            "entry-answers",
            "secondary-done",
            "flush-halves",
            "flush-complete",
            "install-complete",
            "unload",
            "ipi-order",
            "ipis-order",
            "publish-tables",
            "flush-on-entry",
            "secondary",
            "secondary-kernel"
        ]
    );
}

#[test]
fn without_the_engines_sources_nothing_is_built() {
    let build = Build { checkout: env!("CARGO_TARGET_TMPDIR").into(), ..Build::default() };
    let path = kernel_with("sound.rs", "self.ports.pause();", "self.ports.pause();");
    assert!(matches!(build.examine(&path, |_| {}), Err(DoctorError::NoCheckout(_))));
}

/// What nobody looks at where nothing but CPUs keeps translations.
const NO_SECONDARY: [&str; 3] = ["secondary-done", "secondary", "secondary-kernel"];

/// Each customer's package as it ships, and what is not looked at there.
#[test]
fn the_platform_that_a_customer_ships_is_the_one_examined() {
    let loads = ["install-root", "install-flush", "install-order", "install-complete", "root-freed"];
    let ends = ["entry-answers", "flush-on-entry", "free-root", "defer-teardown"];
    let customers: [(&str, &[&str]); 4] = [
        (
            "trampoline",
            &["pin", "flush-halves", "flush-complete", "unload", "ipi-order", "ipis-order", "publish-tables"],
        ),
        ("own-lifetimes", &["pin"]),
        (
            "hypercalls",
            &[
                "pin",
                "flush-halves",
                "send-ipi",
                "unload",
                "handle-ipi",
                "ipi-order",
                "protocol-lazy",
                "ipis-order",
                "protocol-kernel",
                "protocol-borrow",
            ],
        ),
        ("isolated-cpus", &["flush-halves", "unload", "core-atomics"]),
    ];
    for (customer, besides) in customers {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name(customer);
        let report = examine_path(&path).expect("it compiles");
        assert!(report.is_sound(), "{customer}\n{report}");
        let unneeded = report.checks.iter().filter(|check| check.verdict == Verdict::Unneeded);
        let mut found: Vec<&str> = unneeded
            .inspect(|check| assert!(check.what.is_some(), "{customer}: {} says nothing", check.check))
            .map(|check| check.check.as_str())
            .collect();
        let mut expected = [&loads[..], &ends, &NO_SECONDARY, besides].concat();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{customer}");
    }
}

/// The same of customers that load their roots by the engine: the kernel that boots, and the translator.
#[test]
fn the_platforms_of_whole_machines_are_examined_as_they_ship() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the examples");
    let machine = [
        "pin",
        "flush-halves",
        "flush-complete",
        "install-complete",
        "unload",
        "ipi-order",
        "ipis-order",
        "publish-tables",
    ];
    let customers: [(PathBuf, &[&str]); 2] = [
        (examples.join("jit"), &["protocol-borrow"]),
        (examples.with_file_name("kernel"), &["entry-answers", "flush-on-entry", "core-atomics"]),
    ];
    for (path, besides) in customers {
        let report = examine_path(&path).expect("it compiles");
        assert!(report.is_sound(), "{}\n{report}", path.display());
        let unneeded = report.checks.iter().filter(|check| check.verdict == Verdict::Unneeded);
        let found: std::collections::BTreeSet<&str> = unneeded.map(|check| check.check.as_str()).collect();
        assert_eq!(
            found,
            machine.iter().chain(&NO_SECONDARY).chain(besides).copied().collect(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_program_that_names_no_platform_is_told_what_there_is_to_do() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the examples");
    let layers = examine_path(&examples.join("guide")).expect_err("it has no library");
    assert!(matches!(layers, DoctorError::NoLibrary(_)), "{layers}");
    assert!(
        layers.remedy().contains("doctor.rs") && layers.remedy().contains("examples/jit"),
        "{}",
        layers.remedy()
    );
}
