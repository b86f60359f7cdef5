//! Runs cases of the engine with one mutant, until one finds it: what `cargo xtask mutants` builds in a copy of the
//! workspace with mutants woven in.
//!
//! ```text
//!   mutant                               names the cases of the default check
//!   mutant NUMBER SECONDS CASE...        runs them in this order, each for so long at most; 0 is no mutant
//! ```
//! A line a case: name, verdict, states, seconds and what was found, with tabs in between.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(what) => {
            eprintln!("mutant: {what}");
            ExitCode::from(2)
        }
    }
}

#[cfg(not(shootdown_mutants))]
fn run(_: &[String]) -> Result<(), String> {
    Err("this build has no mutants; run `cargo xtask mutants`".to_owned())
}

#[cfg(shootdown_mutants)]
fn run(arguments: &[String]) -> Result<(), String> {
    use shootdown_cases::engine::Fault;
    use shootdown_cases::scenarios::cases;
    let [number, seconds, names @ ..] = arguments else {
        let usual = cases(Fault::NONE).into_iter().filter(|case| !case.deep);
        usual.for_each(|case| println!("{}", case.name));
        return Ok(());
    };
    let number = number.parse().map_err(|_| format!("{number:?} is no number"))?;
    let seconds = seconds.parse().map_err(|_| format!("{seconds:?} is no number of seconds"))?;
    let cases = cases(Fault::mutant(number));
    for name in names {
        let case =
            cases.iter().find(|case| case.name == *name).ok_or(format!("no case is called {name:?}"))?;
        if visit(case, seconds) {
            break;
        }
    }
    Ok(())
}

/// Runs one case and prints what came out; whether something was found.
#[cfg(shootdown_mutants)]
fn visit(case: &shootdown_machine::Case, seconds: u64) -> bool {
    use shootdown_explore::Options;
    let deadline = Some(std::time::Duration::from_secs(seconds));
    let options =
        Options { memory: case.memory, workers: 1, deadline, shortest: false, ..Options::default() };
    let report = (case.run)(&options);
    let (verdict, what) = (report.verdict.name(), report.verdict.words().unwrap_or_default());
    let what = what.replace(['\t', '\n'], " ");
    println!("{}\t{verdict}\t{}\t{:.2}\t{what}", case.name, report.states, report.elapsed.as_secs_f64());
    report.verdict.is_finding()
}
