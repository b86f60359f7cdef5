use serde::Serialize;
use shootdown_cases::bugs::{Bug, Mutant, mutants};
use shootdown_machine::watchdog;
use std::io::Write;
use std::process::ExitCode;

use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
use crate::interrupt::Interrupt;
use crate::output::{counted, fill};

/// Share of steps and orderings taken out, in percent, that must be noticed. The others must be argued.
const ENOUGH: usize = 90;

/// A mutant, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    bug: &'a str,
    lacks: &'a str,
    place: &'a str,
    ordering: bool,
    noticed: Option<&'a str>,
    argued: Option<&'a str>,
}

/// How many mutants there were.
#[derive(Debug, Default)]
struct Sum {
    steps: usize,
    orderings: usize,
    noticed: usize,
    argued: usize,
}

/// Takes a step at a time out of the mended protocols of `bugs`, and lists those that hold all the same.
///
/// # Errors
/// There is nothing to take out; output that cannot be written.
pub fn run(bugs: &[&Bug], json: bool) -> Result<ExitCode, Failure> {
    let interrupt = Interrupt::on_ctrl_c();
    let mut out = anstream::stdout();
    let mut sum = Sum::default();
    for bug in bugs {
        if interrupt.came() {
            return Ok(ExitCode::from(crate::failure::INTERRUPTED));
        }
        let _named = watchdog::begin(&format!("{}/fixed, a step less", bug.name));
        let mutants = mutants(bug);
        sum.add(&mutants);
        for mutant in &mutants {
            match json {
                true => writeln!(out, "{}", line(bug, mutant))?,
                false if mutant.noticed.is_none() => writeln!(out, "{}", fill(&words(bug, mutant)))?,
                false => {}
            }
        }
    }
    if sum.all() == 0 {
        return Err(nothing(bugs));
    }
    if !json {
        writeln!(out, "{}", fill(&sum.words()))?;
    }
    Ok(ExitCode::from(if sum.is_enough() { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Why nothing was taken out of the fixes of `bugs`: nothing has been shown of them.
fn nothing(bugs: &[&Bug]) -> Failure {
    let what = match bugs {
        [] => "the chosen cases are the engine's: they are no bugs, and have no fixes".to_owned(),
        bugs => {
            let names: Vec<&str> = bugs.iter().map(|bug| bug.name).collect();
            format!(
                "there is nothing to take out: no step or ordering of a fix is its own in {}",
                names.join(", ")
            )
        }
    };
    Failure::bad_input(what, "choose other bugs: `check bugs --mutants` takes those that have such steps")
}

fn line(bug: &Bug, mutant: &Mutant) -> String {
    let Mutant { name, place, ordering, noticed, argued } = mutant;
    let (ordering, noticed) = (*ordering, noticed.as_deref());
    let line = Line { bug: bug.name, lacks: name, place, ordering, noticed, argued: *argued };
    serde_json::to_string(&line).unwrap_or_default()
}

fn words(bug: &Bug, mutant: &Mutant) -> String {
    let argued = mutant.argued.unwrap_or("nobody says why it is there");
    format!("{}/fixed holds without {} ({}): {argued}", bug.name, mutant.name, mutant.place)
}

impl Sum {
    fn add(&mut self, mutants: &[Mutant]) {
        let count = |wanted: &dyn Fn(&Mutant) -> bool| mutants.iter().filter(|mutant| wanted(mutant)).count();
        self.orderings += count(&|mutant| mutant.ordering);
        self.steps += count(&|mutant| !mutant.ordering);
        self.noticed += count(&|mutant| mutant.noticed.is_some());
        self.argued += count(&|mutant| mutant.noticed.is_none() && mutant.argued.is_some());
    }

    fn all(&self) -> usize {
        self.steps + self.orderings
    }

    fn is_enough(&self) -> bool {
        self.noticed * 100 >= self.all() * ENOUGH && self.noticed + self.argued == self.all()
    }

    fn words(&self) -> String {
        let Self { steps, orderings, noticed, argued } = self;
        let percent = (noticed * 100).checked_div(self.all()).unwrap_or_default();
        format!(
            "{noticed} of {} of fixes noticed when taken out, {} and {} ({percent} %, at least {ENOUGH} wanted); {argued} of the \
             others argued",
            counted(self.all() as u64, "part"),
            counted(*steps as u64, "step"),
            counted(*orderings as u64, "ordering")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Sum;
    use shootdown_cases::bugs::Mutant;

    fn mutant(noticed: bool, argued: bool) -> Mutant {
        Mutant {
            ordering: false,
            name: "a.rs: wait".into(),
            place: "a.rs:1".into(),
            noticed: noticed.then(|| "a frame is lost".into()),
            argued: argued.then_some("it is the kernel's"),
        }
    }

    #[test]
    fn nine_of_ten_must_be_noticed_and_each_of_the_others_argued() {
        let mut sum = Sum::default();
        for _ in 0..9 {
            sum.add(&[mutant(true, false)]);
        }
        sum.add(&[Mutant { ordering: true, ..mutant(false, true) }]);
        assert!(sum.is_enough());
        let said = "9 of 10 parts of fixes noticed when taken out, 9 steps and 1 ordering (90 %, ";
        assert!(sum.words().starts_with(said), "{}", sum.words());
        sum.add(&[mutant(false, true)]);
        assert!(!sum.is_enough(), "too few are noticed");
        let mut sum = Sum::default();
        sum.add(&vec![mutant(true, false); 99]);
        sum.add(&[Mutant { ordering: true, ..mutant(false, false) }]);
        assert!(!sum.is_enough(), "one is not argued");
    }
}
