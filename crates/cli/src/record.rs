//! The result of one case as `--json` prints it.

use serde::{Deserialize, Serialize};
use shootdown_cases::bugs::{Bug, Needs};
use shootdown_explore::{Finding, Memory, Report, Verdict, caught};
use shootdown_machine::{Case, Expected, Kind};
use std::collections::BTreeMap;

use crate::catalogue::Removed;
use crate::names;

/// The result of one case: one line of JSON.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Record {
    /// Name of the case.
    pub name: String,
    /// `engine`, `bug` or `suspect`.
    pub kind: String,
    /// `shipped`, `broken` or `fixed`.
    pub variant: String,
    /// Memory model it ran under.
    pub memory: String,
    /// CPUs of the machine.
    pub cpus: usize,
    /// Rule or ordering that was removed from the engine.
    pub removed: Option<String>,
    /// `holds` or `violates`.
    pub expected: String,
    /// `holds`, `violates`, `panics`, `misuses`, `deadlock`, `livelock`, `unproved` or `stopped`.
    pub verdict: String,
    /// The rule that is broken, `SD-8`, where it has a number.
    pub rule: Option<String>,
    /// The page that is concerned.
    pub page: Option<usize>,
    /// The frame that is concerned.
    pub frame: Option<usize>,
    /// Whether the verdict is what was expected, and nothing speaks against it.
    pub as_expected: bool,
    /// What speaks against it.
    #[serde(default)]
    pub objections: Vec<String>,
    /// Lines of the case's own file that could make a step and that no protocol of the bug reaches; said with the
    /// mended one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unreached: Vec<String>,
    /// Whether every execution was visited, or one that breaks a rule was found.
    pub complete: bool,
    /// States stored.
    pub states: u64,
    /// Executions of the code under check.
    pub executions: u64,
    /// Time it took.
    pub seconds: f64,
    /// Most bytes that states and tables took.
    pub peak_bytes: u64,
    /// The same for one state; none without states.
    pub bytes_per_state: Option<f64>,
    /// Length of the counterexample, where there is one.
    pub steps: Option<usize>,
    /// What the verdict says in words.
    pub message: Option<String>,
    /// Which executions were to be visited, where it was not all: `contexts 4`, `random 1000, seed 7`. Such a run
    /// proves nothing, and never says `holds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partly: Option<String>,
    /// What came out under the other memory models of which the case states it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<Under>,
    /// Every finding, the worst first, where all were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Found>,
    /// Why there may be more findings than those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// What came out under another memory model than the one that a result is of.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Under {
    /// The memory model.
    pub memory: String,
    /// `holds` or `violates`.
    pub expected: String,
    /// As [`Record::verdict`].
    pub verdict: String,
}

impl Under {
    fn as_stated(&self) -> bool {
        let verdict = names::parse_verdict(&self.verdict);
        let expected =
            [Expected::Holds, Expected::Violates].into_iter().find(|&e| names::expected(e) == self.expected);
        expected.zip(verdict).is_some_and(|(expected, verdict)| expected.is_met_by(&verdict))
    }
}

/// One of all findings of a case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Found {
    /// `violates`, `deadlock` or `livelock`.
    pub verdict: String,
    /// What it says in words.
    pub message: String,
    /// Length of the shortest execution known that comes to it.
    pub steps: Option<usize>,
}

impl Found {
    fn of(finding: &Finding) -> Self {
        let steps = finding.trace.as_ref().map(|trace| trace.steps.len());
        let message = finding.verdict.words().unwrap_or_default().to_owned();
        Self { verdict: finding.verdict.name().to_owned(), message, steps }
    }
}

impl Record {
    /// Sums up `report`, the outcome of `case` under `memory` with `removed` taken out.
    pub fn new(case: &Case, memory: Memory, removed: Option<&Removed>, report: &Report) -> Self {
        let expected = case.expected_under(memory);
        let objections = caught(|| (case.objections)(report, memory))
            .unwrap_or_else(|panic| vec![format!("judging it panicked: {panic}")]);
        let broken = match &report.verdict {
            Verdict::Violates(broken) => Some(broken),
            _ => None,
        };
        Self {
            name: case.name.clone(),
            kind: names::kind(case.kind).to_owned(),
            variant: case.variant.name().to_owned(),
            memory: memory.name().to_owned(),
            cpus: case.cpus,
            removed: removed.map(|removed| removed.name.clone()),
            expected: names::expected(expected).to_owned(),
            verdict: report.verdict.name().to_owned(),
            rule: broken.and_then(|broken| broken.rule).map(|rule| format!("SD-{rule}")),
            page: broken.and_then(|broken| broken.page),
            frame: broken.and_then(|broken| broken.frame),
            as_expected: expected.is_met_by(&report.verdict) && objections.is_empty(),
            objections,
            unreached: caught(|| (case.unreached)(report)).unwrap_or_default(),
            complete: report.complete(),
            states: report.states,
            executions: report.executions,
            seconds: report.elapsed.as_secs_f64(),
            peak_bytes: report.peak_bytes,
            bytes_per_state: (report.states > 0).then(|| rounded(report.peak_bytes, report.states)),
            steps: report.trace.as_ref().map(|trace| trace.steps.len()),
            message: report.verdict.words().map(str::to_owned),
            partly: None,
            models: Vec::new(),
            findings: report.findings.iter().map(Found::of).collect(),
            more: report.cut.clone(),
        }
    }

    /// Adds `report`, which the case states to be as `expected` under `memory`.
    pub fn add(&mut self, memory: Memory, expected: Expected, report: &Report) {
        let under = Under {
            memory: memory.name().to_owned(),
            expected: names::expected(expected).to_owned(),
            verdict: report.verdict.name().to_owned(),
        };
        if !under.as_stated() {
            let Under { memory, expected, verdict } = &under;
            let words = report.verdict.words().map(|words| format!(": {words}")).unwrap_or_default();
            self.objections.push(format!(
                "under {memory}: {verdict}{words}; stated: {expected} (`needs` and `fixed_under` of a bug, `right` of a `Stage`)"
            ));
            self.as_expected = false;
        }
        self.models.push(under);
    }

    /// Whether nothing was found, in a run that was not to visit every execution.
    pub fn unproved(&self) -> bool {
        self.verdict == "unproved"
    }

    /// Returns what this says otherwise than a result of `case` can: the field, what it says, and what it must say. A
    /// file may have been edited, and what is added up is worth no more than what it is made of.
    pub fn contradiction(
        &self,
        case: &Case,
        memory: Option<&str>,
        removed: Option<&str>,
    ) -> Option<(&'static str, String, String)> {
        let Some(verdict) = names::parse_verdict(&self.verdict) else {
            let known = "holds, violates, panics, misuses, deadlock, livelock, unproved or stopped";
            return Some(("verdict", self.verdict.clone(), known.to_owned()));
        };
        let bytes_per_state = (self.states > 0).then(|| rounded(self.peak_bytes, self.states));
        let steps = self.steps.filter(|_| verdict.is_finding());
        let rule = self.rule.clone().filter(|_| matches!(verdict, Verdict::Violates(_)));
        let model = memory.and_then(names::parse_memory).unwrap_or(case.memory);
        let expected = case.expected_under(model);
        let as_expected = expected.is_met_by(&verdict)
            && self.objections.is_empty()
            && self.models.iter().all(Under::as_stated);
        let fields = [
            ("kind", self.kind.clone(), names::kind(case.kind).to_owned()),
            ("variant", self.variant.clone(), case.variant.name().to_owned()),
            ("memory", self.memory.clone(), model.name().to_owned()),
            ("cpus", self.cpus.to_string(), case.cpus.to_string()),
            ("removed", format!("{:?}", self.removed.as_deref()), format!("{removed:?}")),
            ("expected", self.expected.clone(), names::expected(expected).to_owned()),
            ("as_expected", self.as_expected.to_string(), as_expected.to_string()),
            ("rule", format!("{:?}", self.rule), format!("{rule:?}")),
            ("complete", self.complete.to_string(), Report::without_states(verdict).complete().to_string()),
            ("bytes_per_state", format!("{:?}", self.bytes_per_state), format!("{bytes_per_state:?}")),
            ("steps", format!("{:?}", self.steps), format!("{steps:?}")),
            ("seconds", self.seconds.to_string(), self.seconds.abs().to_string()),
        ];
        fields.into_iter().find(|(_, says, must)| says != must)
    }

    /// Whether it is a model of code as read, which nobody has confirmed.
    pub fn suspect(&self) -> bool {
        self.kind == names::kind(Kind::Suspect)
    }

    /// Whether the case found a counterexample.
    pub fn caught(&self) -> bool {
        names::parse_verdict(&self.verdict).is_some_and(|verdict| verdict.is_finding())
    }
}

/// Line of `check --list --json`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Name of the case.
    pub name: String,
    /// `engine`, `bug` or `suspect`.
    pub kind: String,
    /// `shipped`, `broken` or `fixed`.
    pub variant: String,
    /// Memory model it is stated for.
    pub memory: String,
    /// CPUs of the machine.
    pub cpus: usize,
    /// `holds` or `violates`.
    pub expected: String,
    /// The same under each memory model of which the case states it: by `sc`, `tso`, `pso`, `weak`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stated: BTreeMap<String, String>,
    /// Whether only `--deep` or its own name runs it.
    pub deep: bool,
    /// Groups it is in.
    pub groups: Vec<String>,
    /// One sentence: what it shows.
    pub about: String,
    /// The bug that it is a case of, in the same object; none of the engine's scenarios has one.
    #[serde(flatten)]
    pub bug: Option<Header>,
}

/// What [`Entry`] says of a bug.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Header {
    /// Number in the collection of bugs.
    pub id: String,
    /// Letter of its class.
    pub class: char,
    /// The kernel or hypervisor.
    pub kernel: String,
    /// Architecture, or `generic`.
    pub arch: String,
    /// The year in which the fix was merged, or in which what has none was read.
    pub year: Option<u16>,
    /// The commit or advisory that fixed it.
    pub source: String,
    /// The bug's protocols in the order in which upstream had them.
    pub protocols: Vec<String>,
    /// The change that made this protocol of the one before.
    pub change: Option<String>,
    /// Rules that the broken protocol breaks: `SD-3`, ...
    pub rules: Vec<String>,
    /// What shows it: `interleaving`, `store-buffer`, `store-order` or `weak-memory`.
    pub needs: String,
    /// The engine's scenario that shows that the engine does not have it.
    pub engine: String,
    /// Why keeping it out is the embedder's duty, where it is.
    pub duty: Option<String>,
}

impl Header {
    /// Describes `bug`, for its case called `case`.
    fn new(bug: &Bug, case: &str) -> Self {
        let stages = bug.stages();
        let stage =
            stages.iter().find(|stage| case.strip_prefix(bug.name) == Some(&format!("/{}", stage.name)));
        Self {
            id: bug.id.to_owned(),
            class: bug.class().letter(),
            kernel: bug.kernel.to_owned(),
            arch: bug.arch.to_owned(),
            year: (bug.year != 0).then_some(bug.year),
            source: bug.source.to_owned(),
            protocols: stages.iter().map(|stage| stage.name.to_owned()).collect(),
            change: stage.map(|stage| bug.change(stage)).filter(|change| !change.is_empty()),
            rules: bug.rules.iter().map(|rule| format!("SD-{rule}")).collect(),
            needs: match bug.needs {
                Needs::Interleaving => "interleaving",
                Needs::StoreBuffer => "store-buffer",
                Needs::StoreOrder => "store-order",
                Needs::WeakMemory => "weak-memory",
            }
            .to_owned(),
            engine: bug.engine.to_owned(),
            duty: (!bug.duty.is_empty()).then(|| bug.duty.to_owned()),
        }
    }
}

impl Entry {
    /// Describes `case`, a case of `bug` if it is one of a bug's.
    pub fn new(case: &Case, bug: Option<&Bug>) -> Self {
        Self {
            name: case.name.clone(),
            kind: names::kind(case.kind).to_owned(),
            variant: case.variant.name().to_owned(),
            memory: case.memory.name().to_owned(),
            cpus: case.cpus,
            expected: names::expected(case.expected).to_owned(),
            stated: case
                .stated
                .iter()
                .map(|&(memory, expected)| (memory.name().to_owned(), names::expected(expected).to_owned()))
                .collect(),
            deep: case.deep,
            groups: case.groups.iter().map(|&group| group.to_owned()).collect(),
            about: case.about.clone(),
            bug: bug.map(|bug| Header::new(bug, &case.name)),
        }
    }
}

/// Returns `part / whole` to one decimal; both are far below 2^52, where floats stop counting.
#[expect(clippy::cast_precision_loss, reason = "byte and state counts stay far below 2^52")]
fn rounded(part: u64, whole: u64) -> f64 {
    (part as f64 / whole as f64 * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::{Entry, Record};
    use crate::testing::{bug_case, engine_case, report, violation};
    use shootdown_explore::{Broken, Memory, Verdict};
    use shootdown_machine::Case;

    #[test]
    fn a_record_survives_a_round_trip_as_one_line() {
        let case = bug_case("linux-x");
        let record = Record::new(&case, Memory::Tso, None, &violation("frame 1 is\nreused"));
        let line = serde_json::to_string(&record).expect("json");
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).expect("a record"), record);
        assert_eq!(record.steps, Some(3));
        assert!(record.as_expected && record.caught() && record.complete);
    }

    #[test]
    fn a_record_that_cannot_be_of_its_case_is_told_by_its_field() {
        let case = bug_case("linux-x");
        let record = Record::new(&case, Memory::Tso, None, &violation("frame 1 is reused"));
        assert_eq!(record.contradiction(&case, None, None), None);
        let field = |record: &Record| record.contradiction(&case, None, None).map(|(field, ..)| field);
        type Edit = fn(&mut Record);
        let edited: [(&str, Edit); 9] = [
            ("verdict", |record| record.verdict = "fine".into()),
            ("as_expected", |record| record.verdict = "holds".into()),
            ("as_expected", |record| record.as_expected = false),
            ("as_expected", |record| record.objections.push("ends otherwise".into())),
            ("complete", |record| record.complete = false),
            ("expected", |record| record.expected = "holds".into()),
            ("cpus", |record| record.cpus = 3),
            ("removed", |record| record.removed = Some("SD-1".into())),
            ("bytes_per_state", |record| record.states += 100_000),
        ];
        for (said, edit) in edited {
            let mut other = record.clone();
            edit(&mut other);
            assert_eq!(field(&other), Some(said));
        }
        assert_eq!(record.contradiction(&case, Some("pso"), None).map(|(field, ..)| field), Some("memory"));
    }

    #[test]
    fn the_fields_have_the_documented_names_and_values() {
        let mut report = report(Verdict::Holds);
        (report.states, report.peak_bytes) = (4, 90);
        let record = Record::new(&engine_case("pairs-x", 2), Memory::Pso, None, &report);
        insta::assert_snapshot!(serde_json::to_string_pretty(&record).expect("json"));
    }

    #[test]
    fn a_stopped_run_is_never_as_expected() {
        for case in [engine_case("a", 2), bug_case("b")] {
            let record = Record::new(&case, Memory::Tso, None, &report(Verdict::Stopped("budget".into())));
            assert!(!record.as_expected && !record.complete && !record.caught());
            assert_eq!(record.message.as_deref(), Some("budget"));
        }
    }

    #[test]
    fn a_panic_and_a_misuse_are_never_as_expected_and_a_broken_rule_is_told_in_numbers() {
        let verdict = |verdict| Record::new(&bug_case("linux-x"), Memory::Tso, None, &report(verdict));
        for wrong in [Verdict::Panics("x".into()), Verdict::Misuses("x".into())] {
            let record = verdict(wrong);
            assert!(!record.as_expected && record.caught() && record.complete, "{record:?}");
        }
        let broken = Broken { words: "x".into(), rule: Some(8), page: Some(0), frame: Some(1) };
        let record = verdict(Verdict::Violates(broken));
        assert_eq!((record.rule.as_deref(), record.page, record.frame), (Some("SD-8"), Some(0), Some(1)));
        assert!(record.as_expected);
    }

    #[test]
    fn what_speaks_against_a_result_keeps_it_from_being_as_expected() {
        let case =
            Case { objections: Box::new(|_, _| vec!["it does nothing".into()]), ..bug_case("linux-x") };
        let record = Record::new(&case, Memory::Tso, None, &violation("frame 1 is reused"));
        assert!(!record.as_expected && record.objections == ["it does nothing"], "{record:?}");
    }

    #[test]
    fn a_run_without_states_has_no_bytes_per_state() {
        let record = Record::new(&engine_case("a", 2), Memory::Tso, None, &report(Verdict::Holds));
        assert_eq!(record.bytes_per_state, None);
    }

    #[test]
    fn an_entry_survives_a_round_trip() {
        let bug = shootdown_cases::bugs::all().next().expect("a bug");
        let broken = bug.cases().swap_remove(0);
        for (case, bug) in [(engine_case("pairs-x", 2), None), (broken, Some(bug))] {
            let entry = Entry::new(&case, bug);
            let line = serde_json::to_string(&entry).expect("json");
            assert_eq!(line.contains("\"engine\":\"seed\""), bug.is_some());
            assert_eq!(serde_json::from_str::<Entry>(&line).expect("an entry"), entry);
        }
    }
}
