//! The doctor's report.

use serde::{Deserialize, Serialize};
use shootdown_explore::{Action, Move, Step, Trace};
use std::fmt;

/// The result of each check of a platform.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Report {
    /// In the order in which they ran.
    pub checks: Vec<Outcome>,
}

/// The outcome of one check.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Outcome {
    /// Name of the check.
    pub check: String,
    /// The calls that the platform got.
    pub about: String,
    /// The result.
    pub verdict: Verdict,
    /// Memory models under which it was explored. If it failed, the last one showed the fault.
    pub memories: Vec<String>,
    /// The fault, or why nothing can be said.
    pub what: Option<String>,
    /// What to do about it, if something is wrong.
    pub finding: Option<Finding>,
    /// CPUs of the machine.
    pub cpus: usize,
    /// States visited.
    pub states: u64,
}

/// What happens while a platform is examined.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub enum Event {
    /// A check begins; if the program ends in it, this is the finding.
    Begins(Outcome),
    /// It has ended.
    Ended(Outcome),
}

/// How a check ended.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every execution keeps the contract.
    Pass,
    /// One does not.
    Wrong,
    /// Not run: a check that it rests on has failed.
    Skipped,
    /// Not run: it does not apply to the machine, or to what the platform declares.
    Unneeded,
    /// Not every execution was visited.
    Undecided,
}

/// Something wrong with a platform.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Finding {
    /// The method of the platform.
    pub method: String,
    /// The line of the contract that it breaks.
    pub clause: String,
    /// Line of `crates/shootdown/src/platform.rs` where the clause begins.
    pub line: usize,
    /// What to do.
    pub remedy: String,
    /// The execution that shows it.
    pub steps: Vec<Drawn>,
}

/// A step of an execution, in words.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Drawn {
    /// The CPU.
    pub cpu: usize,
    /// What it did.
    pub text: String,
    /// Heading in force.
    pub note: String,
    /// Line of code, where there is one.
    pub place: Option<String>,
    /// Interrupt handlers around it.
    pub depth: u8,
    /// The machine after it.
    pub state: Vec<String>,
    /// `run`, `drain` or `interrupt`.
    pub kind: String,
}

impl Report {
    /// Whether no check failed and none was left undecided.
    pub fn is_sound(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.verdict, Verdict::Wrong | Verdict::Undecided))
    }

    /// The checks that found something.
    pub fn wrong(&self) -> impl Iterator<Item = &Outcome> {
        self.checks.iter().filter(|check| check.verdict == Verdict::Wrong)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for outcome in &self.checks {
            writeln!(f, "{outcome}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Pass => "pass",
            Verdict::Wrong => "WRONG",
            Verdict::Skipped => "skipped",
            Verdict::Unneeded => "unneeded",
            Verdict::Undecided => "UNDECIDED",
        };
        write!(f, "{:17}{word}", self.check)?;
        if let Some(what) = &self.what {
            write!(f, ": {what}")?;
        }
        let Some(finding) = &self.finding else { return Ok(()) };
        writeln!(f)?;
        for step in &finding.steps {
            writeln!(f, "  CPU {}: {}{}", step.cpu, "  ".repeat(step.depth.into()), step.text)?;
        }
        writeln!(f, "  contract of {}: {}", finding.method, finding.plain_clause())?;
        write!(f, "  remedy: {}", finding.remedy)
    }
}

impl From<&Step> for Drawn {
    fn from(step: &Step) -> Self {
        let kind = match step.mov.action {
            Action::Run | Action::Older(_) | Action::Choose(_) => "run",
            Action::Drain(_) => "drain",
            Action::Interrupt(_) => "interrupt",
        };
        Self {
            cpu: step.mov.cpu,
            text: step.text.clone(),
            note: step.note.to_owned(),
            place: step.place.map(|place| format!("{}:{}", place.file(), place.line())),
            depth: step.depth,
            state: step.state.clone(),
            kind: kind.to_owned(),
        }
    }
}

impl Finding {
    /// The line of the contract without the marks of rustdoc.
    pub fn plain_clause(&self) -> String {
        let mut plain = String::new();
        let mut rest = self.clause.as_str();
        while let Some((before, after)) = rest.split_once('[') {
            plain += before;
            let Some((name, after)) = after.split_once(']') else { break };
            plain += name;
            rest = match after.strip_prefix('(').and_then(|link| link.split_once(')')) {
                Some((_, after)) => after,
                None => after,
            };
        }
        plain + rest
    }
}

impl Outcome {
    /// The execution as a trace, to draw it. Its headings are leaked.
    pub fn trace(&self) -> Option<Trace> {
        let finding = self.finding.as_ref()?;
        let steps = finding.steps.iter().map(|drawn| Step {
            mov: Move {
                cpu: drawn.cpu,
                action: match drawn.kind.as_str() {
                    "drain" => Action::Drain(0),
                    "interrupt" => Action::Interrupt(0),
                    _ => Action::Run,
                },
            },
            text: drawn.text.clone(),
            note: Box::leak(drawn.note.clone().into_boxed_str()),
            place: None,
            depth: drawn.depth,
            state: drawn.state.clone(),
        });
        let outcome = self.what.clone().unwrap_or_default();
        Some(Trace { steps: steps.collect(), snapshots: Vec::new(), outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::Finding;

    #[test]
    fn clauses_lose_the_marks_of_rustdoc() {
        let plain = |clause: &str| {
            let finding = Finding {
                method: String::new(),
                clause: clause.to_owned(),
                line: 1,
                remedy: String::new(),
                steps: Vec::new(),
            };
            finding.plain_clause()
        };
        assert_eq!(
            plain("makes the target call [`Shootdown::handle_ipi`](crate::Shootdown::handle_ipi) soon"),
            "makes the target call `Shootdown::handle_ipi` soon"
        );
        assert_eq!(
            plain("[tables are freed](FlushRequest::frees_tables), whatever [`Tag`] (all of it)"),
            "tables are freed, whatever `Tag` (all of it)"
        );
    }
}
