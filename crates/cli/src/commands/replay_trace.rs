//! `shootdown replay` of a recorded trace.

use indicatif::HumanCount;
use serde::Serialize;
use shootdown_bench::bench::Rates;
use shootdown_bench::machine::Totals;
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::trace::{Entry, Reader, Recorded, Replayed, TraceError, replay as run};
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;

use super::bench_table::{self, LEGEND};
use super::record_import::bytes_bar;
use crate::args::ReplayArgs;
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
use crate::output::{counted, fill};

const TRACE_REMEDY: &str = "record it again with `shootdown record-import FILE`";

/// A trace that can be read more than once.
pub struct Trace {
    /// What messages call it.
    pub name: String,
    /// Its bytes.
    pub length: u64,
    file: File,
}

/// One policy's line of JSON.
#[derive(Serialize)]
struct Record<'a> {
    policy: &'a str,
    tags: bool,
    error: Option<String>,
    recorded: Recorded,
    totals: Totals,
    rates: Rates,
}

/// Replays a trace under each policy that is wanted.
///
/// # Errors
/// An unknown policy; a trace that is truncated or corrupt, after what was read of it has been reported.
pub fn replay(args: &ReplayArgs, trace: &Trace) -> Result<ExitCode, Failure> {
    // The oracle needs to know which pages are used, which no trace says.
    let known = PolicyKind::ALL.into_iter().filter(|kind| *kind != PolicyKind::ExactSharers);
    let policies = bench_table::policies(&args.policy, &known.collect::<Vec<_>>())?;
    let mut out = anstream::stdout().lock();
    let (mut sound, mut broken, mut recorded) = (true, None, None);
    for (at, policy) in policies.iter().enumerate() {
        let bar = bytes_bar(trace.length);
        bar.set_message(policy.name());
        let replayed = run(*policy, trace.reader()?, args.tags, |bytes| bar.set_position(bytes));
        bar.finish_and_clear();
        sound &=
            replayed.outcome.stuck == 0 && (!policy.is_safe() || replayed.outcome.totals.violations == 0);
        if args.json {
            writeln!(out, "{}", json(*policy, args.tags, &replayed)?)?;
        } else {
            if at == 0 {
                writeln!(out, "{}\n", fill(&format!("{}. {LEGEND}", trace.name)))?;
                bench_table::head(&mut out, "")?;
            }
            let totals = &replayed.outcome.totals;
            bench_table::line(&mut out, policy.name(), totals, !policy.is_safe() || totals.violations == 0)?;
            if totals.remote_flushes > 0 {
                recorded.get_or_insert_with(Vec::new).push((policy.name(), totals.remote_flushes));
            }
        }
        broken = replayed.error.or(broken);
        if at + 1 == policies.len() && !args.json {
            said(&mut out, &replayed.recorded, recorded.as_deref().unwrap_or_default())?;
        }
    }
    drop(out);
    match broken {
        Some(error) => Err(trace.failure(&format!("{error}; what came before it is reported above"))),
        None => Ok(ExitCode::from(if sound { AS_EXPECTED } else { NOT_AS_EXPECTED })),
    }
}

/// Prints what the recorded kernel said that it did, beside what its models do.
fn said(out: &mut impl Write, recorded: &Recorded, models: &[(&str, u64)]) -> io::Result<()> {
    let summary = format!(
        "{}. Flushes: {} turned to other CPUs, {} answered, {} local, {} at switches.",
        counted(recorded.entries, "recorded step"),
        HumanCount(recorded.remote_sends),
        HumanCount(recorded.remote_shootdowns),
        HumanCount(recorded.local),
        HumanCount(recorded.switches)
    );
    writeln!(out, "\n{}", fill(&summary))?;
    if recorded.wrong_cpus > 0 {
        writeln!(out, "  {} called that had left the space.", counted(recorded.wrong_cpus, "CPU"))?;
    }
    for (name, sends) in models.iter().filter(|(name, _)| name.starts_with("linux-x86")) {
        writeln!(out, "  {name}: {} turned to other CPUs.", HumanCount(*sends))?;
    }
    Ok(())
}

fn json(policy: PolicyKind, tags: bool, replayed: &Replayed) -> io::Result<String> {
    let totals = replayed.outcome.totals;
    Ok(serde_json::to_string(&Record {
        policy: policy.name(),
        tags,
        error: replayed.error.as_ref().map(ToString::to_string),
        recorded: replayed.recorded,
        totals,
        rates: Rates::of(&totals),
    })?)
}

/// Where a trace can be read again.
pub enum Kept<R> {
    There(File),
    /// A pipe; the bytes that were read go into this file too.
    Copied(R, File),
}

impl<R> Kept<R> {
    /// Keeps the trace that `input` reads from `path`.
    pub fn of(path: &Path, input: R) -> io::Result<Self> {
        let is_file = path != Path::new("-") && std::fs::metadata(path).is_ok_and(|data| data.is_file());
        Ok(if is_file { Self::There(File::open(path)?) } else { Self::Copied(input, tempfile::tempfile()?) })
    }
}

impl Trace {
    /// Reads through a trace, up to what is damaged.
    pub fn open(name: String, kept: Kept<impl Read>) -> Result<Self, Failure> {
        let (flushes, file) = match kept {
            Kept::There(file) => (flushes(&name, &file)?, file),
            Kept::Copied(input, mut copy) => (flushes(&name, Copying { input, copy: &mut copy })?, copy),
        };
        if flushes == Some(0) {
            return Err(Failure::bad_input(
                format!("{name}: the trace has no flush, so there is nothing to count"),
                "record event tlb/tlb_flush too, which kernels for x86 have",
            ));
        }
        let length = file.metadata()?.len();
        Ok(Self { name, length, file })
    }

    /// Begins to read.
    pub fn reader(&self) -> Result<Reader<BufReader<&File>>, Failure> {
        let mut file = &self.file;
        let rewound = file.seek(SeekFrom::Start(0)).map_err(TraceError::from);
        rewound.and_then(|_| Reader::new(BufReader::new(file))).map_err(|error| self.failure(&error))
    }

    /// The refusal of a trace that cannot be read.
    pub fn failure(&self, error: &impl std::fmt::Display) -> Failure {
        Failure::bad_input(format!("{}: {error}", self.name), TRACE_REMEDY)
    }
}

/// Counts the flushes of a whole trace; what is wrong behind the header is for the replay to report.
fn flushes(name: &str, input: impl Read) -> Result<Option<u64>, Failure> {
    let reader = Reader::new(BufReader::new(input));
    let mut reader = reader.map_err(|error| Failure::bad_input(format!("{name}: {error}"), TRACE_REMEDY))?;
    let mut flushes = 0;
    loop {
        match reader.entry() {
            Ok(Some((_, _, entry))) => flushes += u64::from(matches!(entry, Entry::Flush { .. })),
            Ok(None) => return Ok(Some(flushes)),
            Err(_) => return Ok(None),
        }
    }
}

/// Reads, and writes what is read to a copy.
struct Copying<'f, R> {
    input: R,
    copy: &'f mut File,
}

impl<R: Read> Read for Copying<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(bytes)?;
        self.copy.write_all(&bytes[..read])?;
        Ok(read)
    }
}
