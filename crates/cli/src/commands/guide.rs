use shootdown_explore::{Options, Report};
use shootdown_machine::Case;
use shootdown_machine::watchdog;

use crate::args::Limits;
use crate::interrupt::Interrupt;
use crate::progress::Line;

/// How `explain` runs cases.
pub struct Guide<'a> {
    /// Limits of each run.
    pub limits: &'a Limits,
    /// Whether each finding is wanted.
    pub all_findings: bool,
    /// Ends a run early.
    pub interrupt: &'a Interrupt,
}

impl Guide<'_> {
    /// Runs `case` such that its counterexample can be stepped through.
    pub fn run(&self, case: &Case) -> Report {
        let line = Line::start(&case.name);
        let _named = watchdog::begin(&case.name);
        let progress = |progress| line.show(progress);
        let options = self.limits.options(case.memory, self.interrupt, &progress);
        (case.run)(&Options { snapshots: true, all_findings: self.all_findings, ..options })
    }
}
