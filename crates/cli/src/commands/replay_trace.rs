//! `shootdown replay` of a recorded trace.

use indicatif::HumanCount;
use serde::Serialize;
use shootdown_bench::bench::Rates;
use shootdown_bench::machine::Totals;
use shootdown_bench::policy::PolicyKind;
use shootdown_bench::trace::{Recorded, Replayed, replay as run};
use std::io::{self, Write};
use std::process::ExitCode;

use super::bench_table::{self, LEGEND};
use super::record_import::bytes_bar;
use super::replay_input::Trace;
use crate::args::ReplayArgs;
use crate::failure::{AS_EXPECTED, Failure, NOT_AS_EXPECTED};
use crate::output::{counted, fill};

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
