//! The image for sun4u in QEMU: sequences and contexts on a TLB that tells contexts apart, and rules that are missing there.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

use super::outcome::Done;
use crate::process::{self, cargo};
use crate::toolchain::nightly_builds_core;

const QEMU: &str = "qemu-system-sparc64";
const TARGET: &str = "sparc64-unknown-linux-gnu";
const FILE: &str = "shootdown-sparc64-image";
/// Seconds after which a machine hangs: it takes four.
const PATIENCE: &str = "120";
/// Rules that one CPU suffices to miss.
const REMOVALS: [&str; 4] = ["4", "5", "12", "14"];

pub fn sparc64(root: &Path) -> Result<Done> {
    let found = Command::new(QEMU).arg("--version").stdout(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        bail!("{QEMU} is missing: apt-get install -y --no-install-recommends qemu-system-sparc");
    }
    ensure!(nightly_builds_core(), "a nightly toolchain with rust-src is missing");
    let folder = root.join("kernel/sparc64");
    process::run(&mut cargo(&folder, "fmt --check"))?;
    process::run(&mut cargo(&folder, "+nightly build --quiet --release --locked"))?;
    let records = run(&folder.join("target"))?;
    let of = |event: &str| records.iter().filter(|record| record["event"] == event).collect::<Vec<_>>();
    let checks = of("check");
    for check in &checks {
        ensure!(check["holds"] == true, "does not hold: {}", check["name"]);
    }
    let contexts = of("contexts").first().copied().context("the allocator did not run")?;
    ensure!(!checks.is_empty() && of("end").iter().any(|end| end["clean"] == true), "not clean: {contexts}");
    for rule in REMOVALS {
        removed(&folder, rule)?;
    }
    Ok(Done::Passed(format!(
        "{} checks hold, {} reads under contexts that ran out {} times, {} removals seen",
        checks.len(),
        contexts["reads"],
        contexts["rollovers"],
        REMOVALS.len()
    )))
}

/// Builds without a rule, runs, and fails unless stale translations are met.
fn removed(folder: &Path, rule: &str) -> Result<()> {
    let flags = format!("target.{TARGET}.rustflags=[\"--cfg\",\"shootdown_break\"]");
    let mut build = cargo(folder, "+nightly build --quiet --release --locked --target-dir target/break");
    process::run(build.args(["--config", &flags]).env("SHOOTDOWN_BREAK", rule))?;
    let records = run(&folder.join("target/break"))?;
    let contexts = records.iter().find(|record| record["event"] == "contexts").context("no report")?;
    ensure!(contexts["stale"].as_u64() > Some(0), "SD-{rule} is removed, and nothing is stale");
    println!("sparc64 without SD-{rule}: {} of {} reads are stale", contexts["stale"], contexts["reads"]);
    Ok(())
}

/// Boots the image that was built into a folder, and returns what it reports.
fn run(target: &Path) -> Result<Vec<Value>> {
    let image = target.join(TARGET).join("release").join(FILE);
    let mut machine = Command::new("timeout");
    machine.args([PATIENCE, QEMU, "-M", "sun4u", "-m", "256M", "-nographic", "-kernel"]).arg(image);
    let output = machine.stdin(Stdio::null()).output().context("cannot start QEMU")?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "the machine does not end by itself:\n{text}");
    let reports = text.lines().filter_map(|line| line.trim().strip_prefix('@'));
    reports.map(serde_json::from_str).collect::<Result<_, _>>().context("a report that is not JSON")
}
