//! Steps that run what this workspace builds, and read what it says.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

use super::build::{ALL, counted};
use super::outcome::Done;
use crate::measure;
use crate::process::{self, Checked, cargo, caught, checked, shootdown, stream};
use shootdown::trace::rules::LAST as LAST_RULE;

/// Groups that notice a removed rule soonest.
const RULE_CASES: &str = "two three tags";

pub fn check(root: &Path) -> Result<Done> {
    let (mut cases, mut states) = (0_u64, 0_u64);
    let mut command = shootdown(root, "check --json")?;
    let status = stream(&mut command, |line| {
        println!("{line}");
        let record: Value = serde_json::from_str(line).context("a line that is not JSON")?;
        cases += 1;
        states += record["states"].as_u64().context("a record without states")?;
        Ok(())
    })?;
    process::check(&command, status)?;
    ensure!(cases > 0, "no case ran");
    Ok(Done::Passed(format!("{cases} cases as expected, {states} states")))
}

pub fn museum(root: &Path) -> Result<Done> {
    let mut command = cargo(root, &format!("test --release {ALL} --test museum_browser"));
    let (counts, status) = counted(&mut command)?;
    process::check(&command, status)?;
    ensure!(counts.passed > 1 && counts.ignored == 0, "the pages were not looked at");
    Ok(Done::Passed("the pages work in a browser; screenshots are in target/museum-shots".into()))
}

pub fn rules(root: &Path) -> Result<Done> {
    for rule in 1..=LAST_RULE {
        let Checked { status, records, .. } = checked(root, &format!("{RULE_CASES} --drop-rule SD-{rule}"))?;
        let catch = caught(&records).with_context(|| format!("SD-{rule} is removed, and no case notices"))?;
        ensure!(
            status.code() == Some(1),
            "SD-{rule} is caught by {catch}, but the exit code is not 1: {status}"
        );
        println!("SD-{rule} removed: caught by {catch}");
    }
    Ok(Done::Passed(format!("SD-1 to SD-{LAST_RULE} each caught when removed")))
}

/// Most cells of the bench's grid that the engine may lose, once for each rival, by what is counted: as many as it
/// does.
const MOST_LOST: [(&str, usize); 2] = [("ipis", 101), ("cycles", 58)];

/// Checks that a report of the bench has no more lost cells than it had, each with a reason.
fn losses(report: &Value) -> Result<()> {
    let losses = report["losses"].as_array().context("a report without losses")?;
    for (counted, most) in MOST_LOST {
        let lost = losses.iter().filter(|loss| loss["counted"] == counted).count();
        println!("the grid: {lost} cells lost in {counted}, of at most {most}");
        ensure!(lost <= most, "{lost} cells of the grid are lost in {counted}, beyond {most}");
    }
    let unexplained = losses.iter().find(|loss| loss["reason"].is_null());
    ensure!(unexplained.is_none(), "the reason has not been found: {}", unexplained.unwrap_or(&Value::Null));
    Ok(())
}

pub fn bench(root: &Path) -> Result<Done> {
    let mut runs = 0_u64;
    let mut command = shootdown(root, "bench --json")?;
    let status = stream(&mut command, |line| {
        let report: Value = serde_json::from_str(line).context("a line that is not JSON")?;
        runs += report["rows"].as_array().map_or(0, Vec::len) as u64;
        losses(&report)
    })?;
    process::check(&command, status)?;
    ensure!(runs > 0, "no policy ran");
    let mut traces = 0;
    for trace in root.join("traces").read_dir().context("the shipped traces")? {
        let path = trace?.path();
        if path.extension().is_some_and(|ending| ending == "sdt") {
            process::run(shootdown(root, "replay")?.arg(&path))?;
            traces += 1;
        }
    }
    ensure!(traces > 0, "no trace was replayed");
    Ok(Done::Passed(format!("{runs} runs as promised, {traces} traces; target/report/index.html")))
}

pub fn counts(root: &Path) -> Result<Done> {
    process::run(&mut measure::counts(root))?;
    Ok(Done::Passed("instruction counts within their aims, or excepted".into()))
}
