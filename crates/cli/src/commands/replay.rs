use shootdown_cases::bugs::Bug;
use shootdown_explore::{Options, Trace};
use shootdown_machine::Case;
use shootdown_machine::watchdog;
use std::io::Write;
use std::process::ExitCode;

use super::replay_input::Input;
use crate::args::ReplayArgs;
use crate::catalogue::{self, Removed};
use crate::draw::columns::{self, Look};
use crate::failure::{AS_EXPECTED, BadInput, Failure, NOT_AS_EXPECTED};
use crate::output::{machine, width};
use crate::replay_file::{self, ReplayFile, action_name, one_line};
use crate::select::find;

/// Runs `shootdown replay`.
///
/// # Errors
/// A list that cannot be read, or a move that the machine cannot make; output that cannot be written.
pub fn replay(args: &ReplayArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    #[cfg_attr(
        not(feature = "full"),
        expect(clippy::infallible_destructuring_match, reason = "other builds have traces too")
    )]
    let text = match Input::open(&args.file)? {
        #[cfg(feature = "full")]
        Input::Trace(trace) => {
            only_used(args.state || args.places, "--state and --places", "a list of moves")?;
            return super::replay_trace::replay(args, &trace);
        }
        Input::Moves(text) => text,
    };
    let of_trace = !args.policy.is_empty() || args.tags || args.json;
    only_used(of_trace, "--policy, --tags and --json", "a recorded trace")?;
    let name = args.file.display().to_string();
    let file = parse(&name, &text)?;
    let removed = file.removed.as_deref().map(Removed::rule_or_site).transpose()?;
    let cases = catalogue::cases(bugs, removed.as_ref());
    let case = find(&cases, &file.case)
        .map_err(|failure| failure.with_removed(removed.as_ref().map(|removed| removed.name.as_str())))?;
    let trace = run(&name, &file, case)?;
    let look = Look { state: args.state, places: args.places, ..Look::in_width(width()) };
    let mut out = anstream::stdout();
    let without = removed.map(|removed| format!(", {} removed", removed.name)).unwrap_or_default();
    writeln!(out, "{} ({}{without})\n", case.name, machine(case.cpus, file.memory))?;
    writeln!(out, "{}", columns::draw(&trace, case.cpus, look))?;
    let (code, verdict) = verdict_of(&file, &trace);
    writeln!(out, "{verdict}")?;
    Ok(ExitCode::from(code))
}

/// Refuses `options` if they are given: they change nothing but the replay of `of`.
fn only_used(given: bool, options: &str, of: &str) -> Result<(), Failure> {
    if !given {
        return Ok(());
    }
    Err(Failure::bad_input(
        format!("{options} change nothing here"),
        format!("they are for {of}: leave them out"),
    ))
}

fn parse(name: &str, text: &str) -> Result<ReplayFile, Failure> {
    replay_file::parse(text).map_err(|malformed| {
        Failure::bad_input(
            format!("{name}, line {}: {:?} cannot be read", malformed.line, malformed.text),
            format!("expected here: {}", malformed.expected),
        )
    })
}

fn run(name: &str, file: &ReplayFile, case: &Case) -> Result<Trace, Failure> {
    let impossible = |at: usize, why: &str| {
        let Some((line, mov)) = file.lines.get(at).zip(file.moves.get(at)) else {
            return Failure::bad_input(
                format!("{name} cannot be replayed: {why}"),
                "record the execution again",
            );
        };
        Failure::BadInput(BadInput {
            what: format!(
                "{name}, line {line}: the machine cannot do `{} {}`: {why}",
                mov.cpu,
                action_name(mov.action)
            ),
            near: Vec::new(),
            remedy: format!("it is move {} of {}; all before it were made", at + 1, file.moves.len()),
        })
    };
    if let Some(at) = file.moves.iter().position(|mov| mov.cpu >= case.cpus) {
        return Err(impossible(at, &format!("{} has CPUs 0 to {}", case.name, case.cpus - 1)));
    }
    let options = Options { memory: file.memory, ..Options::default() };
    let _named = watchdog::begin(&case.name);
    (case.replay)(&options, &file.moves).map_err(|(at, why)| impossible(at, &why))
}

/// Compares how the replay ended with what was recorded: the exit code and a sentence.
fn verdict_of(file: &ReplayFile, trace: &Trace) -> (u8, String) {
    let outcome = one_line(&trace.outcome);
    match &file.outcome {
        Some(recorded) if *recorded == outcome => {
            (AS_EXPECTED, "Reproduced: it ends as recorded.".to_owned())
        }
        None if !outcome.is_empty() => (AS_EXPECTED, "Reproduced: it ends in a violation.".to_owned()),
        None => (NOT_AS_EXPECTED, "Not reproduced: every move was made and no rule is broken.".to_owned()),
        Some(recorded) if outcome.is_empty() => {
            (NOT_AS_EXPECTED, format!("Not reproduced: no rule is broken. Recorded: {recorded}"))
        }
        Some(recorded) => (NOT_AS_EXPECTED, format!("It ends otherwise. Recorded: {recorded}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, run, verdict_of};
    use crate::testing::{bug_case, trace};

    const LIST: &str = "# shootdown replay 1\ncase linux-x\nmemory tso\n0 run\n1 interrupt 0\n0 drain 0\n";

    #[test]
    fn a_recorded_violation_is_reproduced() {
        let file = parse("f", LIST).expect("a list");
        let trace = run("f", &file, &bug_case("linux-x")).expect("possible moves");
        assert_eq!(verdict_of(&file, &trace).0, 0);
    }

    #[test]
    fn another_ending_than_the_recorded_one_is_not_a_reproduction() {
        let mut file = parse("f", LIST).expect("a list");
        file.outcome = Some("a root is freed".to_owned());
        assert_eq!(verdict_of(&file, &trace("frame 1 is reused")).0, 1);
        assert_eq!(verdict_of(&file, &trace("")).0, 1);
        assert_eq!(verdict_of(&file, &trace("a root\nis  freed")).0, 0);
        file.outcome = None;
        assert_eq!(verdict_of(&file, &trace("")).0, 1);
    }

    #[test]
    fn an_impossible_move_is_named_with_its_line_and_the_reason() {
        let file = parse("f", &LIST.replace("drain 0", "drain 9")).expect("a list");
        let said = run("f", &file, &bug_case("linux-x")).expect_err("impossible").to_string();
        assert!(
            said.contains("f, line 6") && said.contains("`0 drain 9`") && said.contains("no entry 9"),
            "{said}"
        );
        assert!(said.contains("move 3 of 3"), "{said}");
    }

    #[test]
    fn a_cpu_that_the_machine_lacks_is_refused() {
        let file = parse("f", &LIST.replace("1 interrupt", "7 interrupt")).expect("a list");
        let said = run("f", &file, &bug_case("linux-x")).expect_err("impossible").to_string();
        assert!(said.contains("line 5") && said.contains("has CPUs 0 to 1"), "{said}");
    }
}
