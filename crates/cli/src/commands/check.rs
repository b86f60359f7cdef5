use shootdown_cases::bugs::Bug;
use shootdown_explore::{Memory, Options, Progress, Report, Verdict, caught};
use shootdown_machine::Case;
use shootdown_machine::watchdog;
use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

use crate::args::CheckArgs;
use crate::catalogue::{self, Removed};
use crate::commands::list::list;
use crate::commands::mutants;
use crate::failure::{AS_EXPECTED, Failure, INTERRUPTED, NOT_AS_EXPECTED, UNPROVED, tell};
use crate::files;
use crate::interrupt::Interrupt;
use crate::names;
use crate::output::{JsonLines, Sink, Table, fill, totals, width};
use crate::progress::Run;
use crate::promises::Promises;
use crate::record::Record;
use crate::resume::Kept;
use crate::select::{Wanted, left_out, select};
use crate::shard::{End, Head, Shard};
use crate::truth;
use crate::typed::typed;

/// Runs `shootdown check`.
///
/// # Errors
/// Input that cannot be used, or output that cannot be written.
pub fn check(args: &CheckArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let mut cases = catalogue::cases(bugs, args.removal.removed());
    if let Some(name) = &args.swap {
        catalogue::swap(&mut cases, bugs, name)?;
    }
    if args.list {
        let picked = match args.shard {
            None => choose(&cases, wanted(args), args.removal.removed())?,
            Some(shard) => shard.part(&whole(&cases, bugs, args)?.0),
        };
        return list(&picked, &Promises::of(&picked, bugs, &cases), args.json);
    }
    if args.mutants {
        let picked = choose(&cases, wanted(args), None)?;
        let promises = Promises::of(&picked, bugs, &cases);
        return mutants::run(promises.bugs(), args.json);
    }
    let outcome = run_and_print(&cases, bugs, args)?;
    Ok(outcome.exit_code())
}

/// Most cases that each have a line of the table; of more, those that come out as expected share lines.
pub const EACH: usize = 40;

/// What came out of a run of several cases.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Results, in the order in which they came.
    pub records: Vec<Record>,
    /// Names of the cases that were not begun.
    pub not_run: Vec<String>,
    /// What bugs promised and did not keep: malformed headers, engine scenarios that do not exist or do not hold.
    pub broken_promises: Vec<String>,
    /// Names of deep cases that were meant too, and that only `--deep` runs.
    pub left_out: Vec<String>,
    /// Whether Ctrl-C kept it from being complete.
    pub interrupted: bool,
}

impl Outcome {
    /// The exit code: 0 if every case came out as expected, 3 if none came out otherwise and some prove nothing.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code())
    }

    fn code(&self) -> u8 {
        let surprises = self.records.iter().any(|record| !record.as_expected && !record.unproved());
        match surprises || !self.broken_promises.is_empty() {
            _ if self.interrupted => INTERRUPTED,
            true => NOT_AS_EXPECTED,
            false if self.records.iter().any(Record::unproved) => UNPROVED,
            false => AS_EXPECTED,
        }
    }

    /// Prints the lines that close the run; where results go to standard output as JSON, on standard error.
    pub fn print(&self, removed: Option<&Removed>, json: bool) -> Result<(), Failure> {
        let lines = self.closing(removed);
        let closing = lines.iter().map(|line| fill(line)).collect::<Vec<_>>().join("\n");
        if json {
            tell(closing);
        } else {
            writeln!(anstream::stdout(), "\n{closing}")?;
        }
        Ok(())
    }

    /// The lines that close the run.
    fn closing(&self, removed: Option<&Removed>) -> Vec<String> {
        let expected = self.records.iter().filter(|record| record.as_expected).count();
        let ran = self.records.len();
        let mut lines = vec![format!("{expected} of {ran} as expected; {}", totals(&self.records))];
        if let Some(removed) = removed {
            lines.push(self.noticed(removed));
        }
        let unproved = self.records.iter().filter(|record| record.unproved()).count();
        if unproved > 0 {
            let one = format!("{unproved} of {ran} found nothing in the executions that were visited");
            lines.push(format!("Not a proof: {one}; others may break a rule."));
        }
        let stopped = self.names(|record| !record.complete && !record.unproved());
        if !stopped.is_empty() {
            lines.push(format!("Not complete, hence not passed: {stopped}"));
        }
        if self.interrupted {
            let complete = self.records.iter().filter(|record| record.complete).count();
            lines.push(format!(
                "Stopped by Ctrl-C with {complete} of {} cases complete.",
                ran + self.not_run.len()
            ));
            if !self.not_run.is_empty() {
                lines.push(format!("Not run: {}", self.not_run.join(", ")));
            }
        }
        let first = self.records.iter().find(|record| record.complete && !record.as_expected);
        if let (Some(Record { name, .. }), None) = (first, removed) {
            let wrong = self.names(|record| record.complete && !record.as_expected);
            lines.push(format!("Not as expected: {wrong}"));
            lines.push(format!("`{} explain {name}` shows how it came about.", typed()));
        }
        if !self.left_out.is_empty() {
            lines.push(format!(
                "Left out: {}, which take minutes; --deep adds them.",
                self.left_out.join(", ")
            ));
        }
        let notes: Vec<String> = self.suspects().into_iter().chain(self.unreached()).collect();
        lines.extend((!notes.is_empty()).then(|| notes.join("; ")));
        lines.extend(self.broken_promises.iter().map(|broken| format!("Not as promised: {broken}")));
        lines
    }

    /// Says how many lines no protocol of their bug reaches, if there are any.
    fn unreached(&self) -> Option<String> {
        let lines: usize = self.records.iter().map(|record| record.unreached.len()).sum();
        let what = if lines == 1 { "line is" } else { "lines are" };
        (lines > 0).then(|| format!("{lines} {what} reached by no protocol (--verbose names them)"))
    }

    /// Says which of the cases are suspects, if any are.
    fn suspects(&self) -> Option<String> {
        /// Of more, the number says enough.
        const NAMED: usize = 3;
        let suspects = self.records.iter().filter(|record| record.suspect());
        let mut suspects: Vec<&str> =
            suspects.map(|record| record.name.split('/').next().unwrap_or("")).collect();
        suspects.dedup();
        let which = match suspects.len() {
            0 => return None,
            1..=NAMED => suspects.join(", "),
            count => format!("{count}, which `check suspect --list` names"),
        };
        Some(format!("Suspects, each a {}: {which}", names::SUSPECT))
    }

    /// Names the cases that took longest, at most `count`, and how long each took.
    fn slowest(&self, count: usize) -> String {
        let mut records: Vec<&Record> = self.records.iter().collect();
        records.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        let named = records.iter().take(count).map(|one| format!("{} {:.2} s", one.name, one.seconds));
        format!("Slowest: {}", named.collect::<Vec<_>>().join(", "))
    }

    fn names(&self, which: impl Fn(&Record) -> bool) -> String {
        let names: Vec<&str> = self.records.iter().filter(|r| which(r)).map(|r| r.name.as_str()).collect();
        names.join(", ")
    }

    /// Which case noticed that something was removed from the engine.
    fn noticed(&self, removed: &Removed) -> String {
        let name = &removed.name;
        let caught = self.names(Record::caught);
        if !caught.is_empty() {
            let option = if name.starts_with("SD-") { "--drop-rule" } else { "--drop-site" };
            let first = self.records.iter().find(|record| record.caught());
            let case = first.map_or("NAME", |record| record.name.as_str());
            let how = format!("`{} explain {case} {option} {name}` shows how.", typed());
            return format!("{name} is removed. Caught by: {caught}\n{how}");
        }
        match self.interrupted || self.records.iter().any(|record| !record.complete) {
            true => format!("{name} is removed, and nothing has noticed it so far."),
            false => format!("{name} is removed, and no case that ran notices it."),
        }
    }
}

fn wanted(args: &CheckArgs) -> Wanted<'_> {
    Wanted { names: &args.names, cpus: args.cpus, deep: args.deep, no_engine: args.no_engine }
}

fn choose<'c>(
    cases: &'c [Case],
    wanted: Wanted<'_>,
    removed: Option<&Removed>,
) -> Result<Vec<&'c Case>, Failure> {
    let picked = select(cases, wanted)
        .map_err(|failure| failure.with_removed(removed.map(|removed| removed.name.as_str())))?;
    if picked.is_empty() {
        return Err(match wanted.no_engine {
            true => Failure::bad_input(
                "the engine's scenarios alone were chosen, and --no-engine leaves them out",
                "choose bugs, or leave --no-engine out",
            ),
            false => Failure::bad_input("there is nothing to check", "this build has no cases"),
        });
    }
    Ok(picked)
}

/// Returns those of `cases` that are `wanted`, then the engine's scenarios that their bugs name, unless the engine is
/// left out; and what bugs promise.
pub fn choose_all<'c, 'b>(
    cases: &'c [Case],
    bugs: &'b [Bug],
    wanted: Wanted<'_>,
    removed: Option<&Removed>,
) -> Result<(Vec<&'c Case>, Promises<'b>), Failure> {
    let mut picked = choose(cases, wanted, removed)?;
    let promises = Promises::of(&picked, bugs, cases);
    if !wanted.no_engine {
        picked.extend(promises.scenarios(&picked, cases));
    }
    Ok((picked, promises))
}

/// Returns all that `args` ask for, whichever shard of it.
fn whole<'c, 'b>(
    cases: &'c [Case],
    bugs: &'b [Bug],
    args: &CheckArgs,
) -> Result<(Vec<&'c Case>, Promises<'b>), Failure> {
    let removed = args.removal.removed();
    if args.swap.is_none() {
        return choose_all(cases, bugs, wanted(args), removed);
    }
    // A swapped case is to be noticed by itself.
    let picked = choose(cases, wanted(args), removed)?;
    let promises = Promises::of(&picked, bugs, cases);
    Ok((picked, promises))
}

/// Runs those of `cases` that `args` name and the engine's scenarios that their bugs name, prints the results as they
/// come and what they add up to.
pub fn run_and_print(cases: &[Case], bugs: &[Bug], args: &CheckArgs) -> Result<Outcome, Failure> {
    let (mut picked, promises) = whole(cases, bugs, args)?;
    if let Some(shard) = args.shard {
        picked = shard.part(&picked);
    }
    args.limits.afford_workers()?;
    if let (Some(one), Some(other)) = (&args.json_file, &args.resume) {
        files::apart(("--json-file", one), ("--resume", other))?;
    }
    let head = Head::new(args.shard.unwrap_or(Shard::WHOLE), args, cases);
    let mut kept = args.resume.as_deref().map(|path| Kept::open(path, head.clone())).transpose()?;
    let mut sinks = sinks(args, &picked)?;
    if args.shard.is_some() {
        sinks.iter_mut().try_for_each(|sink| sink.head(&head))?;
    }
    let interrupt = Interrupt::on_ctrl_c();
    let mut outcome = run(&picked, args, &interrupt, (&mut sinks, kept.as_mut()))?;
    outcome.left_out = left_out(cases, wanted(args)).into_iter().map(|case| case.name.clone()).collect();
    if let Some(end) = args.shard {
        let end = End { end, results: outcome.records.len(), interrupted: outcome.interrupted };
        sinks.iter_mut().try_for_each(|sink| sink.foot(&end))?;
    }
    outcome.broken_promises = promises.all_broken(&outcome.records);
    outcome.print(args.removal.removed(), args.json)?;
    if let (Some(path), true) = (&args.resume, outcome.interrupted) {
        tell(format_args!("{} has what is complete: the same command goes on from there.", path.display()));
    }
    match args.slowest.map(|count| outcome.slowest(count.into())) {
        Some(line) if args.json => tell(line),
        Some(line) => writeln!(anstream::stdout(), "{line}")?,
        None => {}
    }
    Ok(outcome)
}

/// Prints which engine is checked; where results go to standard output as JSON, on standard error.
fn name_engine(json: bool) -> Result<(), Failure> {
    let line = format!("engine compiled from source {}", truth::engine());
    if json {
        tell(line);
    } else {
        writeln!(anstream::stdout(), "{line}")?;
    }
    Ok(())
}

/// Opens what results go to, and names the engine on standard output once nothing can be refused any more.
fn sinks(args: &CheckArgs, picked: &[&Case]) -> Result<Vec<Box<dyn Sink>>, Failure> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    if let Some(path) = &args.json_file {
        let file = File::create(path).map_err(|error| {
            Failure::bad_input(
                format!("cannot write {}: {error}", path.display()),
                "give --json-file a path to write",
            )
        })?;
        sinks.push(Box::new(JsonLines(file)));
    }
    name_engine(args.json)?;
    if args.json {
        sinks.push(Box::new(JsonLines(io::stdout())));
    } else {
        sinks.push(Box::new(match args.verbose || picked.len() <= EACH {
            true => Table::begin(anstream::stdout(), picked, width())?,
            false => Table::folded(anstream::stdout(), picked)?,
        }));
    }
    Ok(sinks)
}

fn run(
    cases: &[&Case],
    args: &CheckArgs,
    interrupt: &Interrupt,
    (sinks, mut kept): (&mut [Box<dyn Sink>], Option<&mut Kept>),
) -> Result<Outcome, Failure> {
    let removed = args.removal.removed();
    let mut outcome = Outcome::default();
    let mut left = cases.iter();
    let progress = Run::start(cases);
    while let Some(case) = left.next() {
        progress.begin(case);
        let _named = watchdog::begin(&case.name);
        let show = |how_far| progress.show(how_far);
        let record = match kept.as_mut().and_then(|kept| from_before(kept, case, args)) {
            Some(record) => record,
            None => run_one(case, args, (interrupt, &show), kept.as_deref_mut())?,
        };
        progress.end(case);
        progress.print(|| sinks.iter_mut().try_for_each(|sink| sink.result(&record)))?;
        let caught = record.caught() && removed.is_some() && !args.keep_going;
        let cut_short = interrupt.came() && (!record.complete || left.len() > 0);
        outcome.records.push(record);
        if caught || cut_short {
            outcome.interrupted = cut_short;
            break;
        }
    }
    progress.print(|| sinks.iter_mut().try_for_each(|sink| sink.end()))?;
    outcome.not_run = left.map(|case| case.name.clone()).collect();
    Ok(outcome)
}

/// Takes the result of `case` from a check that was stopped.
fn from_before(kept: &mut Kept, case: &Case, args: &CheckArgs) -> Option<Record> {
    let memory = args.limits.recorded().memory.map(Memory::name);
    kept.take(case, memory, args.removal.removed().map(|removed| removed.name.as_str()))
}

/// Runs `case`, and keeps its result where it is to be kept.
fn run_one(
    case: &Case,
    args: &CheckArgs,
    (interrupt, show): (&Interrupt, &(dyn Fn(Progress) + Sync)),
    kept: Option<&mut Kept>,
) -> Result<Record, Failure> {
    let options = &args.limits.options(case.memory, interrupt, show);
    let report = guarded(case, &Options { all_findings: args.all_findings, ..options.clone() });
    let memory = args.limits.memory_for(case.memory);
    let mut record = Record::new(case, memory, args.removal.removed(), &report);
    record.partly = args.limits.partly();
    if args.limits.recorded().memory.is_none() && record.as_expected {
        record = under_others(case, record, options);
    }
    kept.map_or(Ok(()), |kept| kept.add(&record))?;
    Ok(record)
}

/// Runs `case` under the other memory models of which it states what must come out, and adds that to `record`. Where
/// one of these runs is stopped, so is the case.
fn under_others(case: &Case, mut record: Record, options: &Options<'_>) -> Record {
    for &(memory, expected) in case.stated.iter().filter(|(memory, _)| *memory != case.memory) {
        let report = guarded(case, &Options { memory, shortest: false, ..options.clone() });
        if let Verdict::Stopped(why) = &report.verdict {
            let why = format!("under {}: {why}", memory.name());
            return Record::new(case, case.memory, None, &Report::without_states(Verdict::Stopped(why)));
        }
        record.add(memory, expected, &report);
    }
    record
}

/// Runs `case`. A panic of the checker itself is that case's result, so that the others and the summary are not lost.
fn guarded(case: &Case, options: &Options<'_>) -> Report {
    let begin = Instant::now();
    // What the run leaves half done is its own: a case builds its machine anew for each run.
    caught(|| (case.run)(options)).unwrap_or_else(|panic| Report {
        elapsed: begin.elapsed(),
        ..Report::without_states(Verdict::Stopped(format!("the check panicked: {panic}")))
    })
}

#[cfg(test)]
mod tests {
    use super::{Outcome, run};
    use crate::args::{CheckArgs, Cli, Command};
    use crate::interrupt::Interrupt;
    use crate::testing::{bug_case, engine_case, fixed_case, report, violation};
    use clap::Parser;
    use shootdown_explore::{Memory, Report, Sampling, Verdict};
    use shootdown_machine::{Case, Expected, Kind};
    use std::sync::atomic::Ordering;

    fn args(line: &str) -> CheckArgs {
        match Cli::try_parse_from(["shootdown", "check"].into_iter().chain(line.split_whitespace())) {
            Ok(Cli { command: Some(Command::Check(args)) }) => args,
            other => panic!("{line}: {other:?}"),
        }
    }

    fn outcome(cases: &[Case], args: &CheckArgs, interrupt: &Interrupt) -> Outcome {
        let cases: Vec<&Case> = cases.iter().collect();
        run(&cases, args, interrupt, (&mut [], None)).expect("no output to fail")
    }

    fn verdicts(outcome: &Outcome) -> Vec<&str> {
        outcome.records.iter().map(|record| record.verdict.as_str()).collect()
    }

    #[test]
    fn an_engine_that_holds_and_a_bug_that_is_found_are_as_expected() {
        let cases = [engine_case("a", 2), bug_case("b")];
        let outcome = outcome(&cases, &args(""), &Interrupt::default());
        assert_eq!((outcome.code(), verdicts(&outcome)), (0, vec!["holds", "violates"]));
        assert!(outcome.closing(None)[0].starts_with("2 of 2 as expected"));
    }

    #[test]
    fn a_bug_that_is_not_found_is_not_as_expected_and_is_named() {
        let mut case = bug_case("linux-x");
        case.run = Box::new(|_| report(Verdict::Holds));
        let outcome = outcome(&[case], &args(""), &Interrupt::default());
        assert_eq!(outcome.code(), 1);
        assert!(outcome.closing(None).join("\n").contains("Not as expected: linux-x"));
    }

    #[test]
    fn a_mended_protocol_that_fails_is_not_as_expected_and_is_named() {
        let mut case = fixed_case("linux-x/fixed");
        case.run = Box::new(|_| violation("frame 1 is reused"));
        let outcome = outcome(&[case], &args(""), &Interrupt::default());
        assert_eq!(outcome.code(), 1);
        assert!(outcome.closing(None).join("\n").contains("Not as expected: linux-x/fixed"));
    }

    #[test]
    fn a_broken_promise_is_named_and_fails_though_every_case_came_out_as_expected() {
        let mut outcome = outcome(&[bug_case("b")], &args(""), &Interrupt::default());
        assert_eq!(outcome.code(), 0);
        outcome.broken_promises.push("linux-x: the engine has no scenario \"y\"".to_owned());
        assert_eq!(outcome.code(), 1);
        assert!(outcome.closing(None).join("\n").contains("Not as promised: linux-x"));
    }

    #[test]
    fn lines_that_no_protocol_reaches_are_counted() {
        let mut case = fixed_case("linux-x/fixed");
        case.unreached = Box::new(|_| vec!["linux_x.rs:7".to_owned()]);
        let outcome = outcome(&[case], &args(""), &Interrupt::default());
        assert_eq!(outcome.code(), 0);
        let closing = outcome.closing(None).join("\n");
        assert!(closing.contains("1 line is reached by no protocol"), "{closing}");
    }

    #[test]
    fn suspects_are_told_to_be_unconfirmed() {
        let suspect = Case { kind: Kind::Suspect, ..bug_case("linux-h1/broken") };
        let outcome = outcome(&[suspect], &args(""), &Interrupt::default());
        let closing = outcome.closing(None).join("\n");
        assert!(closing.contains("each a model of the code as read, unconfirmed: linux-h1"), "{closing}");
    }

    #[test]
    fn a_stopped_case_does_not_pass_and_the_others_still_run() {
        let mut case = engine_case("a", 2);
        case.run = Box::new(|_| report(Verdict::Stopped("deadline".into())));
        let outcome = outcome(&[case, engine_case("b", 2)], &args(""), &Interrupt::default());
        assert_eq!((outcome.code(), verdicts(&outcome)), (1, vec!["stopped", "holds"]));
        assert!(outcome.closing(None).join("\n").contains("Not complete, hence not passed: a"));
    }

    #[test]
    fn a_panic_is_the_result_of_its_case_and_the_others_still_run() {
        let mut case = engine_case("a", 2);
        case.run = Box::new(|_| panic!("an index beyond the end"));
        let outcome = outcome(&[case, engine_case("b", 2)], &args(""), &Interrupt::default());
        assert_eq!((outcome.code(), verdicts(&outcome)), (1, vec!["stopped", "holds"]));
        let message = outcome.records[0].message.as_deref().unwrap_or_default();
        assert!(message.contains("panicked: an index beyond the end"), "{message}");
        assert!(outcome.closing(None)[0].starts_with("1 of 2 as expected"));
    }

    fn three_with_a_catch() -> [Case; 3] {
        let mut middle = engine_case("b", 2);
        middle.run = Box::new(|_| violation("mask misses CPU 1"));
        [engine_case("a", 2), middle, engine_case("c", 2)]
    }

    #[test]
    fn a_removed_rule_stops_at_the_first_case_that_catches_it() {
        let args = args("--drop-rule SD-9");
        let outcome = outcome(&three_with_a_catch(), &args, &Interrupt::default());
        assert_eq!((outcome.code(), verdicts(&outcome)), (1, vec!["holds", "violates"]));
        assert_eq!(outcome.not_run, ["c"]);
        let closing = outcome.closing(args.removal.removed()).join("\n");
        assert!(
            closing.contains("SD-9 is removed. Caught by: b") && !closing.contains("Ctrl-C"),
            "{closing}"
        );
        assert_eq!(outcome.records[1].removed.as_deref(), Some("SD-9"));
    }

    #[test]
    fn a_removed_rule_goes_on_when_asked() {
        let args = args("--drop-rule SD-9 --keep-going");
        let outcome = outcome(&three_with_a_catch(), &args, &Interrupt::default());
        assert_eq!((outcome.code(), outcome.records.len()), (1, 3));
    }

    #[test]
    fn a_removed_rule_that_nothing_notices_is_said_and_passes() {
        let args = args("--drop-rule 3");
        let outcome = outcome(&[engine_case("a", 2)], &args, &Interrupt::default());
        assert_eq!(outcome.code(), 0);
        assert!(outcome.closing(args.removal.removed()).join("\n").contains("no case that ran notices it"));
    }

    #[test]
    fn ctrl_c_ends_the_run_and_names_what_did_not_run() {
        let interrupt = Interrupt::default();
        let mut case = engine_case("b", 2);
        let flag = interrupt.clone();
        case.run = Box::new(move |_| {
            flag.flag().store(true, Ordering::Relaxed);
            report(Verdict::Stopped("interrupted".into()))
        });
        let outcome = outcome(&[engine_case("a", 2), case, engine_case("c", 2)], &args(""), &interrupt);
        assert_eq!((outcome.code(), outcome.not_run.as_slice()), (130, ["c".to_owned()].as_slice()));
        let closing = outcome.closing(None).join("\n");
        assert!(closing.contains("1 of 3 cases complete") && closing.contains("Not run: c"), "{closing}");
    }

    #[test]
    fn a_run_that_visits_a_part_and_finds_nothing_is_no_proof_and_has_its_own_exit_code() {
        let mut case = engine_case("a", 2);
        case.run = Box::new(|options| {
            assert_eq!(options.contexts, Some(3));
            report(Verdict::Unproved("nothing found".into()))
        });
        let args = args("--contexts 3");
        let outcome = outcome(&[case, bug_case("b")], &args, &Interrupt::default());
        assert_eq!((outcome.code(), verdicts(&outcome)), (3, vec!["unproved", "violates"]));
        assert_eq!(outcome.records[0].partly.as_deref(), Some("contexts 3"));
        assert!(!outcome.records[0].as_expected && !outcome.records[0].complete);
        let closing = outcome.closing(None).join("\n");
        assert!(closing.contains("Not a proof: 1 of 2") && !closing.contains("Not complete"), "{closing}");
        let mut surprise = engine_case("c", 2);
        surprise.run = Box::new(|_| violation("frame 1 is reused"));
        let outcome = self::outcome(&[surprise], &args, &Interrupt::default());
        assert_eq!(outcome.code(), 1);
    }

    #[test]
    fn random_executions_and_their_seed_reach_the_explorer() {
        let mut case = engine_case("a", 2);
        case.run = Box::new(|options| {
            assert_eq!(options.random, Some(Sampling { runs: 50, seed: 9 }));
            assert!(options.all_findings);
            report(Verdict::Unproved("nothing found".into()))
        });
        let outcome = outcome(&[case], &args("--random 50 --seed 9 --all-findings"), &Interrupt::default());
        assert_eq!(outcome.records[0].partly.as_deref(), Some("random 50, seed 9"));
    }

    #[test]
    fn a_case_runs_under_each_model_of_which_it_says_what_must_come_out() {
        let mut case = bug_case("linux-x/broken");
        case.stated = vec![(Memory::Sc, Expected::Holds), (Memory::Tso, Expected::Violates)];
        let found = |memory| match memory {
            Memory::Sc => report(Verdict::Holds),
            _ => violation("frame 1 is reused"),
        };
        case.run = Box::new(move |options| found(options.memory));
        let run = |case: Case, line: &str| outcome(&[case], &args(line), &Interrupt::default());
        let as_stated = run(case, "");
        let record = &as_stated.records[0];
        assert_eq!((as_stated.code(), record.memory.as_str(), record.models.len()), (0, "tso", 1));
        assert_eq!((record.models[0].memory.as_str(), record.models[0].verdict.as_str()), ("sc", "holds"));

        let stated = |run: fn(Memory) -> Report| Case {
            stated: vec![(Memory::Tso, Expected::Violates), (Memory::Weak, Expected::Violates)],
            run: Box::new(move |options| run(options.memory)),
            ..bug_case("linux-x/broken")
        };
        let hidden = |memory| match memory {
            Memory::Weak => report(Verdict::Holds),
            _ => violation("frame 1 is reused"),
        };
        let surprise = run(stated(hidden), "");
        assert_eq!(surprise.code(), 1);
        let objection = &surprise.records[0].objections[0];
        assert!(objection.starts_with("under weak: holds; stated: violates"), "{objection}");
        let alone = run(stated(hidden), "--memory tso");
        assert_eq!((alone.code(), alone.records[0].models.len()), (0, 0), "one model was asked for");

        let stopped = run(
            stated(|memory| match memory {
                Memory::Weak => report(Verdict::Stopped("deadline".into())),
                _ => violation("frame 1 is reused"),
            }),
            "",
        );
        assert_eq!((stopped.code(), stopped.records[0].verdict.as_str()), (1, "stopped"));
        assert_eq!(stopped.records[0].message.as_deref(), Some("under weak: deadline"));
    }

    #[test]
    fn the_limits_reach_the_explorer() {
        let mut case = engine_case("a", 2);
        case.run = Box::new(|options| {
            assert_eq!((options.memory, options.workers, options.max_bytes), (Memory::Pso, 3, 1 << 20));
            assert_eq!(options.deadline.map(|d| d.as_secs()), Some(9));
            assert!(!options.reductions.partial_order && !options.reductions.merge);
            report(Verdict::Holds)
        });
        let args = args("--memory pso --workers 3 --memory-budget 1MiB --deadline 9 --no-reduction");
        let outcome = outcome(&[case], &args, &Interrupt::default());
        assert_eq!(outcome.records[0].memory, "pso");
    }
}
