//! The kernel in QEMU: every scenario, a soak, each rule that can be seen to be missing there, and counts of
//! instructions.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use shootdown::trace::rules::{Rule, Sign};

use super::outcome::Done;
use crate::process::{self, cargo, shootdown};

/// Architectures, their targets, and as many CPUs as boot.
const ARCHITECTURES: [(&str, &str, usize); 3] = [
    ("riscv64", "riscv64gc-unknown-none-elf", 128),
    ("x86_64", "x86_64-unknown-none", 255),
    ("aarch64", "aarch64-unknown-none-softfloat", 512),
];
/// Every scenario, on four CPUs that take turns.
const USUAL: &str = "--seconds 1";
/// Unmap-and-reuse cycles of the soak. The time is a bound for a machine that is busy with other things.
const SOAK: &str = "--scenario reuse --cycles 1000000 --seconds 900";
/// How long a machine may be silent that is stopped. It is silent while it boots, and then for a second.
const PATIENCE: Duration = Duration::from_secs(2);
/// Where counts of instructions are told.
const BOOK: &str = "docs/book/src/commands.md";
const SHADOW: &str = "missing flush";
const CANARY: &str = "stale read";
const HANG: &str = "CPU 0 at";
/// Linux's short cut of 2020, which the kernel can take too.
const SINGLE_USER: (&str, &str, &str) = ("linux-bafb056c", "sqpoll", CANARY);

/// Rules that can be seen to be missing, the scenario that shows it, and how it is told on every architecture: by the
/// shadow, by canaries, or by where CPUs hang.
fn removals() -> impl Iterator<Item = (String, &'static str, &'static str)> {
    let of_engine = Rule::ALL.iter().filter_map(|rule| {
        let (scenario, sign) = rule.qemu()?;
        let told = match sign {
            Sign::MissingFlush => SHADOW,
            Sign::StaleRead => CANARY,
            Sign::Hang => HANG,
        };
        Some((format!("SD-{}", rule.number()), scenario, told))
    });
    let (name, scenario, told) = SINGLE_USER;
    of_engine.chain([(name.to_owned(), scenario, told)])
}

/// Operations that are counted, and the most instructions that the median may take. Stock Linux 6.1 takes 402 and 416
/// on amd64, counted the same way. The handler may take half of that; a flush may take 7 more than half, as it looks
/// whether the space is its engine's in release builds too.
const MOST_INSTRUCTIONS: [(&str, u64); 2] = [("flush, one", 208), ("handler", 208)];

/// What one architecture came to.
struct Outcome {
    scenarios: usize,
    cycles: u64,
    removals: usize,
    /// For each of [`MOST_INSTRUCTIONS`].
    instructions: [u64; 2],
}

pub fn boot(root: &Path) -> Result<Done> {
    let kernel = root.join("kernel");
    process::run(&mut cargo(&kernel, "fmt --check"))?;
    for (_, target, _) in ARCHITECTURES {
        crate::toolchain::ensure_core(target)?;
        process::run(&mut cargo(
            &kernel,
            &format!("clippy --release --locked --target {target} -- -D warnings"),
        ))?;
    }
    let plugin = kernel.join("qemu-plugin");
    for look in
        ["fmt --check", "clippy --release --locked --all-targets -- -D warnings", "test --release --locked"]
    {
        process::run(&mut cargo(&plugin, look))?;
    }
    // Built by now, so that no machine's thread replaces what another starts.
    shootdown(root, "")?;
    // QEMU uses one thread of the host for each machine, so that the machines can run side by side.
    let outcomes: Vec<Result<Outcome>> = thread::scope(|scope| {
        let start = |(name, _, most)| {
            scope.spawn(move || one(root, name, most).with_context(|| format!("on {name}")))
        };
        let running: Vec<_> = ARCHITECTURES.map(start).into_iter().collect();
        let join = |handle: thread::ScopedJoinHandle<'_, Result<Outcome>>| match handle.join() {
            Ok(outcome) => outcome,
            Err(_) => Err(anyhow::anyhow!("a machine's thread panicked")),
        };
        running.into_iter().map(join).collect()
    });
    let outcomes: Vec<Outcome> = outcomes.into_iter().collect::<Result<_>>()?;
    told_by_the_book(root, &outcomes)?;
    let sum = |count: fn(&Outcome) -> usize| outcomes.iter().map(count).sum::<usize>();
    let cycles: u64 = outcomes.iter().map(|outcome| outcome.cycles).sum();
    let most = |index: usize| outcomes.iter().map(|outcome| outcome.instructions[index]).max().unwrap_or(0);
    Ok(Done::Passed(format!(
        "{} scenarios clean, {cycles} pages unmapped and reused, {} removals seen, at most {} instructions to flush \
         with one target and {} in its handler",
        sum(|outcome| outcome.scenarios),
        sum(|outcome| outcome.removals),
        most(0),
        most(1)
    )))
}

fn one(root: &Path, name: &str, most_cpus: usize) -> Result<Outcome> {
    let mut scenarios = 0;
    for arguments in [
        USUAL,
        "--host-threads each --seconds 1",
        "--cpus 1 --scenario soak",
        "--cpus 16 --scenario soak",
        &format!("--cpus {most_cpus} --seconds 1"),
    ] {
        let rows = clean(root, name, arguments)?;
        if arguments == USUAL {
            let lossy = rows.iter().find(|row| row["scenario"] == "lost-ipis");
            let sent_again = lossy.is_some_and(|row| row["stalls"].as_u64() > Some(0));
            ensure!(sent_again, "no IPI was lost: none was sent again");
        }
        scenarios += rows.len();
    }
    let soak = clean(root, name, SOAK)?;
    let cycles = soak.iter().filter_map(|row| row["cycles"].as_u64()).sum();
    ensure!(cycles >= 1_000_000, "the soak came to {cycles} cycles");
    let mut controlled = BTreeSet::new();
    for (rule, scenario, told) in removals() {
        // The same image and scenario with every rule: what is seen without one is that rule's.
        if controlled.insert(scenario) {
            clean(root, name, &format!("--break none --scenario {scenario} --seconds 2"))?;
        }
        removed(root, name, &rule, scenario, told)?;
    }
    stopped(root, name)?;
    let instructions = counted(root, name)?;
    Ok(Outcome { scenarios: scenarios + soak.len(), cycles, removals: removals().count(), instructions })
}

/// Fails where the book says other counts of instructions.
fn told_by_the_book(root: &Path, outcomes: &[Outcome]) -> Result<()> {
    let text = fs::read_to_string(root.join(BOOK)).with_context(|| format!("cannot read {BOOK}"))?;
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let [riscv64, x86_64, aarch64] = outcomes else { bail!("{} architectures", outcomes.len()) };
    let of = |index: usize| [x86_64, riscv64, aarch64].map(|outcome| outcome.instructions[index]);
    let ([a, b, c], [d, e, f]) = (of(0), of(1));
    let counted =
        format!("takes {a} on x86-64, {b} on riscv64 and {c} on aarch64, its handler {d}, {e} and {f},");
    ensure!(text.contains(&counted), "{BOOK} does not say what was counted: {counted}");
    let [flush, handler] = MOST_INSTRUCTIONS.map(|(_, most)| most);
    let bound = format!("fails beyond {flush} and {handler}.");
    ensure!(text.contains(&bound), "{BOOK} does not say the bounds: {bound}");
    Ok(())
}

/// Counts instructions, and fails where an operation takes more than it may.
fn counted(root: &Path, name: &str) -> Result<[u64; 2]> {
    let (code, rows) = run(root, name, "--count")?;
    ensure!(code == Some(0), "--count: exit code {code:?}");
    let mut medians = [0; 2];
    for (median, (operation, most)) in medians.iter_mut().zip(MOST_INSTRUCTIONS) {
        let row = rows.iter().find(|row| row["operation"] == operation);
        let found = row.and_then(|row| row["median"].as_u64());
        *median = found.with_context(|| format!("{operation:?} was not counted"))?;
        ensure!(*median <= most, "{operation:?} takes {median} instructions, and may take {most}");
        println!("{name}: {operation}: {median} instructions of at most {most}");
    }
    Ok(medians)
}

/// Boots, and fails unless everything is clean.
fn clean(root: &Path, name: &str, arguments: &str) -> Result<Vec<Value>> {
    let (code, rows) = run(root, name, arguments)?;
    for row in &rows {
        ensure!(row["verdict"] == "clean", "{arguments}: not clean: {row}");
    }
    ensure!(
        code == Some(0) && !rows.is_empty(),
        "{arguments}: exit code {code:?} after {} scenarios",
        rows.len()
    );
    println!("{name} {arguments}: {} scenarios clean", rows.len());
    Ok(rows)
}

/// Boots without a rule, and fails unless that is noticed.
fn removed(root: &Path, name: &str, rule: &str, scenario: &str, told: &str) -> Result<()> {
    // CPUs that hang say nothing: as long as the scenario may run and its patience lasts, by the machine's own time.
    let seconds = if told == HANG { 2 } else { 60 };
    let (code, rows) = run(root, name, &format!("--break {rule} --scenario {scenario} --seconds {seconds}"))?;
    let seen = rows.iter().find(|row| matches!(row["verdict"].as_str(), Some("finding" | "hang")));
    let seen = seen.with_context(|| format!("{rule} is removed, and {scenario} does not notice"))?;
    ensure!(code == Some(1), "{rule} is noticed, and the exit code is {code:?}");
    let findings = seen["findings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let what = findings.clone().find(|finding| finding.starts_with(told));
    let what = what.with_context(|| format!("{rule} is noticed, but by no {told:?}: {findings:?}"))?;
    println!("{name} without {rule}: {scenario}: {}: {what}", seen["verdict"].as_str().unwrap_or("?"));
    Ok(())
}

/// Stops QEMU for longer than a machine may be silent, and fails if that is taken for a hang: a host may be slow.
fn stopped(root: &Path, name: &str) -> Result<()> {
    let arguments = format!("--scenario soak --seconds 1 --patience {}", PATIENCE.as_secs());
    let mut command = command(root, name, &arguments)?;
    let mut boot = command.stdout(Stdio::piped()).spawn().context("cannot start the command")?;
    let list = format!("/proc/{0}/task/{0}/children", boot.id());
    let qemu = loop {
        let children = fs::read_to_string(&list).unwrap_or_default();
        // Other children are cargo, which builds the kernel, and QEMU that is asked whether it is there.
        let is_machine = |child: &&str| {
            fs::read_to_string(format!("/proc/{child}/cmdline"))
                .is_ok_and(|line| line.contains("\0-kernel\0"))
        };
        if let Some(child) = children.split_whitespace().find(is_machine) {
            break child.to_owned();
        }
        ensure!(boot.try_wait()?.is_none(), "the command ended, and no machine was seen");
        thread::sleep(Duration::from_millis(1));
    };
    let signal = |signal: &str| process::run(Command::new("sh").args(["-c", "kill -$0 $1", signal, &qemu]));
    signal("STOP")?;
    thread::sleep(PATIENCE * 3);
    signal("CONT")?;
    let (code, rows) = read(&arguments, &boot.wait_with_output()?)?;
    ensure!(code == Some(0), "a machine that was stopped for {:?} is taken for {rows:?}", PATIENCE * 3);
    println!("{name}: a machine that this host stops does not hang");
    Ok(())
}

fn run(root: &Path, name: &str, arguments: &str) -> Result<(Option<i32>, Vec<Value>)> {
    // What cargo says when it builds a kernel is for people.
    let mut command = command(root, name, arguments)?;
    read(arguments, &command.stderr(Stdio::inherit()).output().context("cannot start the command")?)
}

fn command(root: &Path, name: &str, arguments: &str) -> Result<Command> {
    shootdown(root, &format!("boot --json --arch {name} {arguments}"))
}

fn read(arguments: &str, output: &Output) -> Result<(Option<i32>, Vec<Value>)> {
    ensure!(output.status.code() != Some(2), "{arguments}: see above");
    let rows = std::str::from_utf8(&output.stdout)?.lines().map(serde_json::from_str);
    let rows = rows.collect::<Result<_, _>>().context("a line that is not JSON")?;
    Ok((output.status.code(), rows))
}
