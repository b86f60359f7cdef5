use shootdown_cases::bugs::Bug;
use shootdown_machine::Case;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::args::MergeArgs;
use crate::catalogue::{self, Removed};
use crate::commands::check::{EACH, Outcome, choose_all};
use crate::failure::Failure;
use crate::files;
use crate::output::{JsonLines, Sink, Table, width};
use crate::record::Record;
use crate::select::{Wanted, left_out};
use crate::shard::{End, Flags, Head, Line, Shard, digest};

const REMEDY: &str = "run all shards and the merge with one build and the same options";

/// Runs `shootdown merge`.
///
/// # Errors
/// Files that are not the results of all shards of one check, or output that cannot be written.
pub fn merge(args: &MergeArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let mut texts = Vec::new();
    for file in &args.files {
        texts.push((file.display().to_string(), read(file)?));
    }
    merge_texts(&texts, bugs, |outcome, whole, removed| {
        show(outcome, whole, args.json)?;
        outcome.print(removed, args.json)?;
        Ok(outcome.exit_code())
    })
}

/// Merges files, each a name and what it holds, and hands the outcome over with all cases that were asked for.
///
/// # Errors
/// As [`merge`].
pub fn merge_texts<R>(
    texts: &[(String, String)],
    bugs: &[Bug],
    then: impl FnOnce(&Outcome, &[&Case], Option<&Removed>) -> Result<R, Failure>,
) -> Result<R, Failure> {
    let mut parts = Vec::new();
    for (name, text) in texts {
        parts.extend(parse(name, text)?);
    }
    let parts = by_shard(parts)?;
    let flags = parts.values().next().map(|part| part.head.flags.clone()).unwrap_or_default();
    let removed = flags.removed.as_deref().map(Removed::rule_or_site).transpose()?;
    let cases = catalogue::cases(bugs, removed.as_ref());
    same_build(parts.values(), &digest(&cases))?;
    let wanted =
        Wanted { names: &flags.names, cpus: flags.cpus, deep: flags.deep, no_engine: flags.no_engine };
    let (whole, promises) = choose_all(&cases, bugs, wanted, removed.as_ref())?;
    let mut outcome = put_together(&whole, parts, &flags)?;
    outcome.broken_promises = promises.all_broken(&outcome.records);
    outcome.left_out = left_out(&cases, wanted).into_iter().map(|case| case.name.clone()).collect();
    then(&outcome, &whole, removed.as_ref())
}

fn show(outcome: &Outcome, whole: &[&Case], json: bool) -> Result<(), Failure> {
    let mut sink: Box<dyn Sink> = if json {
        Box::new(JsonLines(io::stdout()))
    } else {
        Box::new(match whole.len() <= EACH {
            true => Table::begin(anstream::stdout(), whole, width())?,
            false => Table::folded(anstream::stdout(), whole)?,
        })
    };
    outcome.records.iter().try_for_each(|record| sink.result(record))?;
    sink.end()?;
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    files::bytes(file).and_then(files::text).map_err(|error| {
        let what = format!("cannot read {}: {error}", file.display());
        Failure::bad_input(what, "give the files that `shootdown check --shard I/N --json-file FILE` wrote")
    })
}

/// The results of one shard.
#[derive(Debug)]
struct Part {
    /// Where they were read.
    file: String,
    head: Head,
    records: Vec<Record>,
    end: Option<End>,
}

/// Reads the results of one shard or several.
fn parse(file: &str, text: &str) -> Result<Vec<Part>, Failure> {
    let mut parts: Vec<Part> = Vec::new();
    for (at, text) in text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty()) {
        let wrong = |what: &str| {
            let start: String = text.chars().take(60).collect();
            let what = format!("{file}, line {}: {what}: {start}", at + 1);
            Failure::bad_input(
                what,
                "give the files that `shootdown check --shard I/N --json-file FILE` wrote",
            )
        };
        let line = serde_json::from_str(text).map_err(|_| wrong("this is no result of a shard"))?;
        let open = parts.last_mut().filter(|part| part.end.is_none());
        match (line, open) {
            (Line::Head(head), _) => {
                parts.push(Part { file: file.to_owned(), head, records: Vec::new(), end: None });
            }
            (Line::Record(record), Some(part)) => part.records.push(record),
            (Line::End(end), Some(part)) if end.end == part.head.shard => part.end = Some(end),
            (_, _) => return Err(wrong("this belongs to no shard that has begun")),
        }
    }
    if parts.is_empty() {
        return Err(Failure::bad_input(
            format!("{file} holds no results of a shard"),
            "`shootdown check --shard I/N --json-file FILE` writes them",
        ));
    }
    Ok(parts)
}

/// Sorts `parts` by shard; they are all shards of one check, each once and to its end.
fn by_shard(parts: Vec<Part>) -> Result<BTreeMap<Shard, Part>, Failure> {
    let mut sorted: BTreeMap<Shard, Part> = BTreeMap::new();
    let Some(first) = parts.first().map(|part| (part.file.clone(), part.head.clone())) else {
        return Ok(sorted);
    };
    let (file, head) = &first;
    for part in parts {
        let shard = part.head.shard;
        if shard.of() != head.shard.of() {
            let what = format!("{file} holds shard {}, {} holds shard {shard}", head.shard, part.file);
            return Err(Failure::bad_input(what, "give shards of one check, cut into equally many"));
        }
        if let Some((flag, one, two)) = head.flags.difference(&part.head.flags) {
            let what = format!("{file} was run with {flag} {one}, {} with {flag} {two}", part.file);
            return Err(Failure::bad_input(what, REMEDY));
        }
        whole_part(&part)?;
        if let Some(twin) = sorted.get(&shard) {
            let what = format!("shard {shard} is there twice: in {} and in {}", twin.file, part.file);
            return Err(Failure::bad_input(what, "leave one of them out"));
        }
        sorted.insert(shard, part);
    }
    let missing: Vec<String> =
        head.shard.siblings().filter(|s| !sorted.contains_key(s)).map(Into::into).collect();
    match missing.is_empty() {
        true => Ok(sorted),
        false => Err(Failure::bad_input(
            format!("missing: shard {}", missing.join(", shard ")),
            "run `shootdown check --shard I/N` for each, with the options of the others, and add its file",
        )),
    }
}

/// Demands that `part` was written to its end.
fn whole_part(part: &Part) -> Result<(), Failure> {
    let (file, shard, have) = (&part.file, part.head.shard, part.records.len());
    let what = match &part.end {
        None => format!("{file}: shard {shard} was cut off after {have} results"),
        Some(end) if end.results != have => {
            format!("{file}: shard {shard} ended with {} results, and {have} are there", end.results)
        }
        Some(_) => return Ok(()),
    };
    Err(Failure::bad_input(what, format!("run `shootdown check --shard {shard}` again")))
}

/// Demands that all parts come from this build, whose cases have the digest `catalogue`.
fn same_build<'p>(parts: impl Iterator<Item = &'p Part>, catalogue: &str) -> Result<(), Failure> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    for Part { file, head, .. } in parts {
        let what = if head.version != VERSION {
            format!("{file} was written by version {}, and this is {VERSION}", head.version)
        } else if head.catalogue != catalogue {
            format!("{file} was written by a build with other cases ({}, here {catalogue})", head.catalogue)
        } else {
            continue;
        };
        return Err(Failure::bad_input(what, REMEDY));
    }
    Ok(())
}

/// Puts results into the order of `whole`, the list of all cases that were asked for.
fn put_together(whole: &[&Case], parts: BTreeMap<Shard, Part>, flags: &Flags) -> Result<Outcome, Failure> {
    let mut outcome = Outcome::default();
    let stops = flags.removed.is_some() && !flags.keep_going;
    let mut caught = false;
    let mut lanes: Vec<Lane> = parts.into_values().map(Lane::new).collect();
    for (place, case) in whole.iter().enumerate() {
        let lane = lanes.iter_mut().find(|lane| lane.shard.has(place));
        match lane.map_or(Ok(None), |lane| lane.next(case, flags, stops))? {
            // The whole check would not have come this far.
            _ if caught => outcome.not_run.push(case.name.clone()),
            Some(record) => {
                caught = stops && record.caught() && outcome.not_run.is_empty();
                outcome.records.push(record);
            }
            None => outcome.not_run.push(case.name.clone()),
        }
    }
    for lane in lanes {
        lane.used_up()?;
        outcome.interrupted |= lane.interrupted && !caught;
    }
    Ok(outcome)
}

/// A shard's results while they are taken one after the other.
struct Lane {
    shard: Shard,
    file: String,
    interrupted: bool,
    left: std::vec::IntoIter<Record>,
    /// Whether the shard has caught something that was removed, and stopped there.
    caught: bool,
}

impl Lane {
    fn new(part: Part) -> Self {
        Self {
            shard: part.head.shard,
            file: part.file,
            interrupted: part.end.is_some_and(|end| end.interrupted),
            left: part.records.into_iter(),
            caught: false,
        }
    }

    /// Takes the result of `case`, if the shard came so far.
    fn next(&mut self, case: &Case, flags: &Flags, stops: bool) -> Result<Option<Record>, Failure> {
        let Self { shard, file, .. } = self;
        let name = &case.name;
        let again = format!("run `shootdown check --shard {shard}` again");
        match self.left.next() {
            Some(record) if record.name == *name => {
                let (memory, removed) = (flags.memory.as_deref(), flags.removed.as_deref());
                if let Some((field, says, must)) = record.contradiction(case, memory, removed) {
                    let what =
                        format!("{file}: shard {shard} says {field} {says} of {name}, where {must} belongs");
                    return Err(Failure::bad_input(what, again));
                }
                self.caught |= stops && record.caught();
                Ok(Some(record))
            }
            Some(other) => {
                let what = format!(
                    "{file}: shard {shard} has a result of {} where that of {name} belongs",
                    other.name
                );
                Err(Failure::bad_input(what, again))
            }
            None if self.interrupted || self.caught => Ok(None),
            None => Err(Failure::bad_input(format!("{file}: shard {shard} has no result of {name}"), again)),
        }
    }

    /// Demands that nothing is left over.
    fn used_up(&self) -> Result<(), Failure> {
        let Some(record) = self.left.as_slice().first() else { return Ok(()) };
        let Self { shard, file, .. } = self;
        let what =
            format!("{file}: shard {shard} has a result of {}, which it was not asked for", record.name);
        Err(Failure::bad_input(what, format!("run `shootdown check --shard {shard}` again")))
    }
}
