//! Sound platforms pass, and each wrong one is found, by the check that is about its mistake.

use shootdown::Platform;
use shootdown_doctor::{Event, Report, Sim, Verdict};
use std::sync::LazyLock;

#[path = "../../hypercalls/doctor.rs"]
mod hypercalls;
#[path = "../../isolated-cpus/doctor.rs"]
mod isolated_cpus;
#[path = "../../jit/doctor.rs"]
#[allow(dead_code, reason = "what the program uses besides")]
mod jit;
#[path = "../../../kernel/doctor.rs"]
#[allow(dead_code, reason = "what the program uses besides")]
mod kernel;
#[path = "../../own-lifetimes/doctor.rs"]
mod own_lifetimes;
#[path = "../toy_coherence.rs"]
mod toy_coherence;
#[path = "../toy_guest.rs"]
mod toy_guest;
#[path = "../toy_hypervisor.rs"]
mod toy_hypervisor;
#[path = "../toy_iommu.rs"]
mod toy_iommu;
#[path = "../toy_kernel.rs"]
mod toy_kernel;
#[path = "../../trampoline/doctor.rs"]
mod trampoline;

/// Examines a platform.
type Examine = fn() -> Report;

include!(concat!(env!("OUT_DIR"), "/wrong.rs"));

/// Name, and how many checks run at least.
const SOUND: &[(&str, usize, Examine)] = &[
    ("toy_kernel", 36, shootdown_doctor::examine::<toy_kernel::PlatformUnderTest<Sim>>),
    ("toy_hypervisor", 36, shootdown_doctor::examine::<toy_hypervisor::PlatformUnderTest<Sim>>),
    ("toy_guest", 29, shootdown_doctor::examine::<toy_guest::PlatformUnderTest<Sim>>),
    ("toy_coherence", 25, shootdown_doctor::examine::<toy_coherence::PlatformUnderTest<Sim>>),
    ("toy_iommu", 28, shootdown_doctor::examine::<toy_iommu::PlatformUnderTest<Sim>>),
    ("trampoline", 22, shootdown_doctor::examine::<trampoline::PlatformUnderTest<Sim>>),
    ("own-lifetimes", 27, shootdown_doctor::examine::<own_lifetimes::PlatformUnderTest<Sim>>),
    ("hypercalls", 19, shootdown_doctor::examine::<hypercalls::PlatformUnderTest<Sim>>),
    ("isolated-cpus", 26, shootdown_doctor::examine::<isolated_cpus::PlatformUnderTest<Sim>>),
    ("jit", 27, shootdown_doctor::examine::<jit::PlatformUnderTest>),
    ("kernel", 27, shootdown_doctor::examine::<kernel::PlatformUnderTest>),
];

/// Their reports. One thread examines each platform once: a kernel's count of preemption is a static.
static REPORTS: LazyLock<Vec<Report>> =
    LazyLock::new(|| SOUND.iter().map(|(_, _, examine)| examine()).collect());

/// The same of the wrong ones.
static WRONG_REPORTS: LazyLock<Vec<Report>> =
    LazyLock::new(|| WRONG.iter().map(|(_, _, examine)| examine()).collect());

#[test]
fn sound_platforms_pass_every_check() {
    for ((name, least, _), report) in SOUND.iter().zip(&*REPORTS) {
        assert!(report.is_sound(), "{name}\n{report}");
        assert!(report.checks.iter().all(|check| check.verdict != Verdict::Skipped), "{name}\n{report}");
        let passed = report.checks.iter().filter(|check| check.verdict == Verdict::Pass).count();
        assert!(passed >= *least, "{name}: {passed}\n{report}");
    }
}

/// A machine of the host package whose embedder has made a mistake.
mod wrong_hosts {
    use shootdown_host::sync::{AtomicU32, Ordering::Relaxed};
    use shootdown_host::{Embedder, Leaves, MachineBuilder, PollWord, simulated_cpu};
    use std::sync::Arc;

    /// All harts are lent the word of hart 0.
    pub struct OneWord;

    impl Embedder for OneWord {
        type Root = u64;
        fn machine() -> (MachineBuilder<u64>, Leaves) {
            let words: Arc<[AtomicU32; 4]> = Arc::default();
            let lent = Arc::clone(&words);
            let one = move |_| PollWord::in_part(Arc::clone(&lent), |words: &[AtomicU32; 4]| &words[0]);
            let leaves = move |cpu: shootdown::CpuId| words[cpu.index()].load(Relaxed) != 0;
            (MachineBuilder::new(4).identity(simulated_cpu).poll_words(one), Box::new(leaves))
        }
    }

    /// The callback names hart 0 on every hart.
    pub struct OneName;

    impl Embedder for OneName {
        type Root = u64;
        fn machine() -> (MachineBuilder<u64>, Leaves) {
            let zero = || Some(shootdown::CpuId::new(0));
            (MachineBuilder::new(4).identity(zero), Box::new(|_| true))
        }
    }
}

#[test]
fn mistakes_of_an_embedder_of_the_host_package_are_found() {
    use shootdown_host::Examined;
    let first = |report: Report| {
        let outcome = report.wrong().next().expect("it is wrong").clone();
        (outcome.check, outcome.what.unwrap_or_default())
    };
    let (check, what) = first(shootdown_doctor::examine::<Examined<wrong_hosts::OneWord>>());
    assert!(check == "remote" && what.contains("no CPU can go on"), "{check}: {what}");
    let (check, what) = first(shootdown_doctor::examine::<Examined<wrong_hosts::OneName>>());
    assert!(check == "cpu" && what.contains("MachineBuilder::identity"), "{check}: {what}");
}

#[test]
fn a_machine_whose_cpus_run_user_code_is_examined_as_one() {
    type Isolated = isolated_cpus::PlatformUnderTest<Sim>;
    type Toy = toy_coherence::PlatformUnderTest<Sim>;
    assert_eq!([Isolated::USER_MODE, Toy::USER_MODE], [true, false]);
}

#[test]
fn a_check_that_does_not_run_says_why() {
    let report = shootdown_doctor::examine::<toy_coherence::PlatformUnderTest<Sim>>();
    let why = |name: &str| {
        let outcome = report.checks.iter().find(|outcome| outcome.check == name).expect("a check");
        (outcome.verdict, outcome.what.clone().unwrap_or_default())
    };
    let loads =
        ["install-root", "install-flush", "install-order", "install-complete", "root-freed", "free-root"];
    for name in loads {
        assert_eq!(why(name), (Verdict::Unneeded, "the embedder loads the root (LOADS_ROOTS)".to_owned()));
    }
    let (verdict, words) = why("flush-on-entry");
    assert!(verdict == Verdict::Unneeded && words.contains("FLUSHES_ON_ENTRY"), "{words}");
    let silent =
        report.checks.iter().find(|outcome| outcome.verdict == Verdict::Unneeded && outcome.what.is_none());
    assert_eq!(silent, None, "a check that did not run and says nothing");
}

#[test]
fn each_wrong_platform_is_found_by_the_checks_of_its_mistake_and_by_no_other() {
    let mut otherwise = Vec::new();
    for ((name, check, _), report) in WRONG.iter().zip(&*WRONG_REPORTS) {
        let found: Vec<&str> = report.wrong().map(|outcome| outcome.check.as_str()).collect();
        if found != check.split(", ").collect::<Vec<_>>() {
            otherwise.push(format!("{name}: {check} expected, found {found:?}\n{report}"));
        }
    }
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}

#[test]
fn every_check_that_blames_a_method_has_a_wrong_platform() {
    let checks: std::collections::BTreeSet<String> = REPORTS
        .iter()
        .flat_map(|report| &report.checks)
        .map(|outcome| outcome.check.clone())
        .filter(|name| !name.starts_with("protocol-"))
        .collect();
    let covered = WRONG.iter().flat_map(|(_, check, _)| check.split(", ")).map(str::to_owned).collect();
    assert_eq!(checks, covered);
}

#[test]
fn a_finding_has_a_line_of_the_contract_a_remedy_and_an_execution() {
    for ((name, check, _), report) in WRONG.iter().zip(&*WRONG_REPORTS) {
        let outcome = report.wrong().next().unwrap_or_else(|| panic!("{name} passes"));
        let finding = outcome.finding.as_ref().unwrap_or_else(|| panic!("{name}: nothing is said"));
        assert!(finding.line > 0, "{check}: the contract does not say {:?}", finding.clause);
        // Asking for the number of the CPU takes no step of the machine.
        assert_eq!(
            finding.steps.is_empty(),
            ["cpu", "local", "pin", "needs-ack"].contains(check),
            "{name}\n{report}"
        );
        assert!(finding.remedy.len() > 20, "{name}\n{report}");
        assert!(outcome.what.as_ref().is_some_and(|what| what.len() > 10), "{name}\n{report}");
    }
}

#[test]
fn every_check_names_a_line_of_the_contract_that_stands_there() {
    let mut begun = 0;
    shootdown_doctor::examine_with::<toy_kernel::PlatformUnderTest<Sim>>(|event| {
        let Event::Begins(outcome) = event else { return };
        let finding = outcome.finding.expect("what would be said");
        assert!(finding.line > 0, "{}: the contract does not say {:?}", outcome.check, finding.clause);
        begun += 1;
    });
    assert_eq!(begun, 45);
}
