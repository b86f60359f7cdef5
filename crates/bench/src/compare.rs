//! The comparison and its table.

use crate::protocol::Variant;
use crate::{on_explorer, on_loom};
use core::fmt;
use serde::Serialize;

/// What one checker did with one variant.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Outcome {
    /// States that the explorer stored, or executions that loom ran: what each has to visit.
    pub visited: u64,
    /// Times that the code under check ran.
    pub executions: u64,
    /// Whether everything was visited, up to the first violation.
    pub complete: bool,
    /// Whether a violation was found.
    pub caught: bool,
    /// Wall-clock time, up to the first violation.
    pub seconds: f64,
}

/// Both checkers on one variant.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The variant, in words.
    pub variant: &'static str,
    /// Whether it must be caught.
    pub broken: bool,
    /// This project's explorer.
    pub explorer: Outcome,
    /// loom.
    pub loom: Outcome,
}

impl Row {
    /// How many times longer loom took.
    pub fn ratio(&self) -> f64 {
        self.loom.seconds / self.explorer.seconds.max(1e-9)
    }

    /// Whether both checkers finished and say what is so.
    pub fn agrees(&self) -> bool {
        [self.explorer, self.loom].iter().all(|side| side.complete && side.caught == self.broken)
    }
}

/// The explorer and loom on the same protocol.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// One row per variant.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Whether all verdicts are as they must be.
    pub fn agrees(&self) -> bool {
        self.rows.iter().all(Row::agrees)
    }
}

/// Runs a sound and a broken variant of the protocol on the explorer (store buffers per location) and on loom.
pub fn explore_vs_loom() -> Comparison {
    let variants =
        [(Variant::Sound, "sound", false), (Variant::WithoutFence, "borrower's fence missing", true)];
    let row = |(variant, name, broken)| Row {
        variant: name,
        broken,
        explorer: on_explorer::run(variant),
        loom: on_loom::run(variant),
    };
    Comparison { rows: variants.map(row).into() }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:26} {:9} {:>20} {:>11} {:>10}",
            "protocol, 2 CPUs", "checker", "visited", "time", "verdict"
        )?;
        for row in &self.rows {
            let sides = [("explorer", row.explorer, "states"), ("loom", row.loom, "executions")];
            for (checker, outcome, unit) in sides {
                let visited = format!("{} {unit}", outcome.visited);
                let verdict = match outcome {
                    Outcome { caught: true, .. } => "violated",
                    Outcome { complete: true, .. } => "holds",
                    _ => "stopped",
                };
                let milliseconds = outcome.seconds * 1e3;
                writeln!(
                    f,
                    "{:26} {checker:9} {visited:>20} {milliseconds:>8.1} ms {verdict:>10}",
                    row.variant
                )?;
            }
            writeln!(f, "{:26} loom takes {:.1} times as long", "", row.ratio())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_checkers_pass_the_sound_variant_and_catch_the_broken_one() {
        let comparison = explore_vs_loom();
        assert!(comparison.agrees(), "{comparison}");
        assert_eq!(comparison.rows.len(), 2);
    }

    #[test]
    fn the_numbers_but_for_time_repeat() {
        let visited = |comparison: &Comparison| {
            let sides = comparison.rows.iter().flat_map(|row| [row.explorer.visited, row.loom.visited]);
            sides.collect::<Vec<_>>()
        };
        assert_eq!(visited(&explore_vs_loom()), visited(&explore_vs_loom()));
    }

    #[test]
    fn the_table_names_both_checkers_and_the_ratio() {
        let outcome = Outcome { visited: 10, executions: 3, complete: true, caught: false, seconds: 0.5 };
        let loom = Outcome { seconds: 2.0, ..outcome };
        let row = Row { variant: "sound", broken: false, explorer: outcome, loom };
        let text = Comparison { rows: vec![row] }.to_string();
        assert!(text.contains("10 states") && text.contains("10 executions"), "{text}");
        assert!(text.contains("loom takes 4.0 times as long"), "{text}");
    }
}
