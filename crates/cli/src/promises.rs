//! What a bug promises besides its cases: a sound header, and a scenario that shows that the engine does not have it.

use shootdown_cases::bugs::{Bug, problems};
use shootdown_machine::Case;
use std::collections::BTreeSet;

use crate::record::Record;
use crate::select::family;

/// The promises of the bugs that are being checked.
#[derive(Debug, Default)]
pub struct Promises<'b> {
    bugs: Vec<&'b Bug>,
    /// Faults that are known before anything runs: bug, file and fault.
    pub malformed: Vec<String>,
}

impl<'b> Promises<'b> {
    /// Collects the promises of those of `bugs` that have a case among `picked`; `cases` are all there are.
    pub fn of(picked: &[&Case], bugs: &'b [Bug], cases: &[Case]) -> Self {
        let families: BTreeSet<&str> = picked.iter().filter_map(|case| family(case)).collect();
        let all = problems(bugs, cases);
        let malformed = all.iter().filter(|problem| families.contains(problem.bug)).map(ToString::to_string);
        Self {
            malformed: malformed.collect(),
            bugs: bugs.iter().filter(|bug| families.contains(bug.name)).collect(),
        }
    }

    /// Returns the bugs.
    pub fn bugs(&self) -> &[&'b Bug] {
        &self.bugs
    }

    /// Returns the engine's scenarios that the bugs name and `picked` lacks, each once, in the order of `cases`.
    pub fn scenarios<'c>(&self, picked: &[&Case], cases: &'c [Case]) -> Vec<&'c Case> {
        let named: BTreeSet<&str> = self.bugs.iter().map(|bug| bug.engine).collect();
        let lacks = |case: &&Case| !picked.iter().any(|picked| picked.name == case.name);
        // A scenario that only `--deep` runs is reported as malformed, and not run for minutes here.
        cases.iter().filter(|case| named.contains(case.name.as_str()) && !case.deep).filter(lacks).collect()
    }

    /// Returns what is wrong before anything runs, and what `records` show to be broken.
    pub fn all_broken(&self, records: &[Record]) -> Vec<String> {
        self.malformed.iter().cloned().chain(self.broken(records)).collect()
    }

    /// Returns the promises that `records` show to be broken: a bug's name and its scenario, a line each.
    pub fn broken(&self, records: &[Record]) -> Vec<String> {
        // What was not to visit every execution breaks no promise by finding nothing.
        let failed: BTreeSet<&str> = records
            .iter()
            .filter(|record| !record.as_expected && !record.unproved())
            .map(|record| record.name.as_str())
            .collect();
        let broken = self.bugs.iter().filter(|bug| failed.contains(bug.engine));
        broken
            .map(|bug| {
                let Bug { name, engine, .. } = bug;
                format!("{name}: the engine's scenario {engine:?}, which is to show that the engine does not have this bug, does not hold")
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Promises;
    use crate::catalogue;
    use crate::record::Record;
    use crate::testing::violation;
    use shootdown_cases::bugs::Bug;
    use shootdown_machine::Case;

    fn bug() -> Bug {
        *shootdown_cases::bugs::all().next().expect("a bug")
    }

    fn picked<'c>(cases: &'c [Case], bug: &Bug) -> Vec<&'c Case> {
        cases.iter().filter(|case| case.name.starts_with(bug.name)).collect()
    }

    #[test]
    fn a_scenario_runs_once_and_its_failure_names_each_bug_that_relies_on_it() {
        let twin = Bug { name: "linux-twin", id: "A99", ..bug() };
        let bugs = [bug(), twin];
        let cases = catalogue::cases(&bugs, None);
        let mut both = picked(&cases, &bug());
        both.extend(picked(&cases, &twin));
        let promises = Promises::of(&both, &bugs, &cases);
        let scenarios = promises.scenarios(&both, &cases);
        assert_eq!(scenarios.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), [bug().engine]);
        assert!(promises.scenarios(&scenarios, &cases).is_empty(), "it is among the chosen");
        let record = Record::new(scenarios[0], scenarios[0].memory, None, &violation("x"));
        let said = promises.broken(&[record]);
        assert!(said.len() == 2 && said[0].starts_with(bug().name) && said[1].starts_with("linux-twin:"));
        assert!(promises.malformed.is_empty() && promises.broken(&[]).is_empty());
    }

    #[test]
    fn a_scenario_that_does_not_exist_is_told_for_chosen_bugs_only() {
        let lost = Bug { name: "linux-lost", id: "A99", engine: "no-such-scenario", ..bug() };
        let bugs = [bug(), lost];
        let cases = catalogue::cases(&bugs, None);
        assert!(Promises::of(&picked(&cases, &bug()), &bugs, &cases).malformed.is_empty());
        let malformed = Promises::of(&picked(&cases, &lost), &bugs, &cases).malformed;
        assert!(malformed[0].contains("linux-lost") && malformed[0].contains("no-such-scenario"));
        assert_eq!(malformed.len(), 1);
    }
}
