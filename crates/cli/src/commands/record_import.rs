use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};
use shootdown_bench::trace::{ImportOptions, Imported, import};
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead, BufReader, Cursor, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::ImportArgs;
use crate::failure::{AS_EXPECTED, Failure};
use crate::files::{is_same, probe};
use crate::output::{counted, width, wrapping};
use crate::replace::replace;

/// Runs `shootdown record-import`.
///
/// # Errors
/// Input that cannot be read or means nothing; a trace that cannot be written. Then no file has changed.
pub fn record_import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let name = args.file.display();
    let input = Input::open(&args.file)?;
    let path = target(args, input.data.as_ref())?;
    probe(&path)?;
    let bar = bytes_bar(input.data.as_ref().map_or(0, Metadata::len));
    let options = ImportOptions { tick_hz: args.tick_hz };
    // In memory until it is whole: whatever ends the reading, no part of it is left in a folder.
    let mut trace = Cursor::new(Vec::new());
    let imported = import(input.text, &mut trace, options, |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let found = imported.map_err(|error| Failure::bad_input(format!("{name}: {error}"), error.remedy()))?;
    if args.tick_hz.is_some() && !found.ticks {
        let what = format!("--tick-hz changes nothing here: the times of {name} are seconds");
        return Err(Failure::bad_input(what, "leave it out"));
    }
    replace(&path, &trace.into_inner())?;
    report(&mut anstream::stdout(), &path, &found)?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// A recording.
struct Input {
    text: Box<dyn BufRead>,
    /// Of a file.
    data: Option<Metadata>,
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Ok(Self { text: Box::new(io::stdin().lock()), data: None });
        }
        let unreadable = |error: io::Error| {
            let what = format!("cannot read {}: {error}", path.display());
            Failure::bad_input(what, "give the text of a kernel's trace")
        };
        let file = File::open(path).map_err(unreadable)?;
        let data = file.metadata().map_err(unreadable)?;
        if data.is_dir() {
            return Err(unreadable(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self { text: Box::new(BufReader::new(file)), data: Some(data) })
    }
}

/// Where the trace goes: never over the recording, by whatever name, and never over what is no file.
fn target(args: &ImportArgs, input: Option<&Metadata>) -> Result<PathBuf, Failure> {
    let path = match &args.out {
        Some(path) => path.clone(),
        None if input.is_some_and(Metadata::is_file) => with_ending(&args.file),
        None => {
            let what =
                format!("{} has no name that its trace could have: it is no file", args.file.display());
            return Err(Failure::bad_input(what, "`--out TRACE` names the trace"));
        }
    };
    let refuse = |what: &str| {
        Err(Failure::bad_input(format!("{} {what}", path.display()), "`--out` names another file"))
    };
    if fs::metadata(&path).is_ok_and(|there| !there.is_file()) {
        return refuse("is there and is no file");
    }
    if input.is_some() && is_same(&args.file, &path) {
        return refuse("is the recording itself");
    }
    Ok(path)
}

fn with_ending(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".sdt");
    file.with_file_name(name)
}

/// A bar for so many bytes.
pub fn bytes_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// Prints what was found.
fn report(out: &mut impl Write, path: &Path, found: &Imported) -> io::Result<()> {
    let path = path.display();
    let (cpus, spaces) = (counted(found.cpus, "CPU"), counted(found.spaces, "space"));
    writeln!(out, "{path}: {cpus}, {spaces}, {}", BinaryBytes(found.bytes))?;
    // A command is typed as it stands, so it is not wrapped.
    writeln!(out, "  `shootdown replay {path}` runs it.")?;
    let mut row = |name: &str, text: String| {
        let head = format!("  {name:<9}");
        let options = wrapping(width()).initial_indent(&head).subsequent_indent("           ");
        writeln!(out, "{}", textwrap::fill(&text, options))
    };
    row("dialect", found.dialect.clone())?;
    row("kernel", found.kernel.clone().unwrap_or_else(|| "not said".into()))?;
    row("time", format!("{}.{:06} s", found.span_micros / 1_000_000, found.span_micros % 1_000_000))?;
    for (at, (count, what)) in kinds(found).into_iter().enumerate() {
        row(if at == 0 { "lines" } else { "" }, format!("{:>9} {what}", HumanCount(count).to_string()))?;
    }
    let said = [
        (found.flushes[4], "turned to other CPUs (remote IPI send)"),
        (found.flushes[1], "carried out for another CPU (remote shootdown)"),
        (found.flushes[5], "asked of a CPU in vain (remote wrong CPU)"),
        (found.flushes[3], "of a CPU for itself (local MM shootdown)"),
        (found.flushes[0], "on task switch"),
    ];
    for (at, (count, what)) in said.into_iter().enumerate() {
        row(if at == 0 { "flushes" } else { "" }, format!("{:>9} {what}", HumanCount(count).to_string()))?;
    }
    for note in notes(found) {
        row("note", note)?;
    }
    Ok(())
}

/// The lines by kind.
fn kinds(found: &Imported) -> Vec<(u64, String)> {
    let mut kinds: Vec<(u64, String)> =
        found.events.iter().map(|(name, count)| (*count, (*name).to_owned())).collect();
    let lost = found.lost_lines;
    let rest = [
        (found.others, "of other events"),
        (found.comments, "of comment"),
        (found.blank, "blank"),
        (found.notes, "about the file"),
        (found.frames, "of stacks"),
        (found.log_lines, "of the kernel log besides"),
        (lost, "that say that events were lost"),
    ];
    kinds.extend(
        rest.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| (count, what.to_owned())),
    );
    kinds.push((found.lines, "in all".to_owned()));
    kinds
}

/// What a reader of the counts must know.
fn notes(found: &Imported) -> Vec<String> {
    let mut notes = Vec::new();
    let forks = found.forks_by_tgid + found.forks_inferred;
    if found.forks_inferred > 0 {
        let (inferred, forks) = (HumanCount(found.forks_inferred), HumanCount(forks));
        notes.push(format!("{inferred} of {forks} forks without TGID: that they share a space is inferred"));
    }
    if !found.events.contains_key("sched_process_fork") {
        notes.push("no sched_process_fork: a new task has a space of its own".to_owned());
    }
    let unknown = "an unknown number of events";
    let lost = match (found.lost, found.lost_unknown) {
        (0, 0) => None,
        (0, _) => Some(unknown.to_owned()),
        (count, 0) => Some(counted(count, "event")),
        (count, _) => Some(format!("{} and {unknown}", HumanCount(count))),
    };
    if let Some(lost) = lost {
        notes.push(format!("{lost} lost; counts are too low"));
    }
    if found.overwritten > 0 {
        let gone = counted(found.overwritten, "event");
        notes.push(format!("the buffer was too small: the file lacks {gone}"));
    }
    if found.late_lines > 0 {
        let (lines, by) = (counted(found.late_lines, "line"), counted(found.latest_by, "microsecond"));
        notes.push(format!("time goes back in {lines}, by {by} at most"));
    }
    notes
}
