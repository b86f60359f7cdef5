//! Scenarios of hard life fail without the rule that `docs/hard-life.md` names for them.

use shootdown::trace::IrqReason;
use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios::cases;
use shootdown_explore::Options;

const CLAIMS: [(&str, u8); 13] = [
    ("nmi-switch", 3),
    ("nmi-lazy", 5),
    ("nmi-leave", 10),
    ("nmi-flush", 6),
    ("nmi-handle-ipi", 6),
    ("nmi-temporary", 3),
    ("nmi-hotplug", 1),
    ("nmi-tags", 6),
    ("nmi-borrow", 2),
    ("nmi-create", 6),
    ("user-mode-nmi", 20),
    ("spurious-ipi", 6),
    ("hotplug-under-load", 13),
];

#[test]
fn each_scenario_of_hard_life_fails_without_its_rule() {
    for (name, rule) in CLAIMS {
        let cases = cases(Fault::rule(rule).expect("a rule"));
        let case = cases.iter().find(|case| case.name == name).expect("a scenario");
        let report = (case.run)(&Options { memory: case.memory, shortest: false, ..Options::default() });
        assert!(report.verdict.is_finding(), "{name} without SD-{rule}: {:?}", report.verdict);
    }
}

#[test]
fn nmis_come_in_every_span_of_the_engine() {
    // A new span does not compile here until it has a scenario.
    let scenario = |span| match span {
        IrqReason::Switch => "nmi-switch",
        IrqReason::EnterLazy => "nmi-lazy",
        IrqReason::Leave => "nmi-leave",
        IrqReason::LocalFlush => "nmi-flush",
        IrqReason::HandleIpi => "nmi-handle-ipi",
        IrqReason::Temporary => "nmi-temporary",
        IrqReason::Hotplug => "nmi-hotplug",
        IrqReason::Tags => "nmi-tags",
        IrqReason::Create => "nmi-create",
    };
    let table = include_str!("../../../docs/hard-life.md");
    let spans = table
        .lines()
        .filter_map(|line| line.split_once("| an NMI in span `").or(line.split_once("| ... in `")));
    let named: Vec<_> = spans.map(|(_, rest)| rest.split('`').next().expect("a name").to_string()).collect();
    for span in IrqReason::ALL {
        assert!(named.contains(&format!("{span:?}")), "{span:?} has no row");
        assert!(CLAIMS.iter().any(|(name, _)| *name == scenario(span)), "{span:?} has no claim");
    }
}

#[test]
fn every_scenario_of_hard_life_has_a_claim_and_a_row() {
    let table = include_str!("../../../docs/hard-life.md");
    for case in cases(Fault::NONE).iter().filter(|case| case.groups.contains(&"hard")) {
        assert!(CLAIMS.iter().any(|(name, _)| *name == case.name), "{} has no claim", case.name);
        assert!(table.contains(&format!("`{}`", case.name)), "{} has no row", case.name);
    }
}
