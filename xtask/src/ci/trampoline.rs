//! The kernel that loads roots in a trampoline, in QEMU: nothing is stale with the flush, and something is without.

use anyhow::{Context, Result, ensure};
use std::path::Path;

use crate::process::{self, cargo};

const TARGET: &str = "riscv64gc-unknown-none-elf";
/// Seconds after which the machine hangs: it takes a few, and more where the host is busy.
const PATIENCE: &str = "300";
/// Boots without the flush, of which one must show a stale read: whether another hart reads in time is up to the host.
const TRIES: usize = 5;

/// Boots it both ways, and says what it came to.
///
/// # Errors
/// It does not build, end or show what it should.
pub fn trampoline(root: &Path) -> Result<String> {
    let folder = root.join("examples/trampoline");
    process::run(&mut cargo(&folder, "fmt --check"))?;
    let lints = format!("clippy --release --locked --target {TARGET} -- -D warnings");
    process::run(&mut cargo(&folder, &lints))?;
    let with = boot(root, &folder, "target/trampoline", "")?;
    ensure!(stale(&with)? == 0, "stale with the flush: {with}");
    println!("trampoline: {with}");
    let forgets = "--features forget-the-flush";
    for _ in 0..TRIES {
        let without = boot(root, &folder, "target/trampoline-forgets", forgets)?;
        println!("trampoline without the flush: {without}");
        match stale(&without)? {
            0 => {}
            stale => return Ok(format!("{with}; without the flush {stale} stale reads")),
        }
    }
    anyhow::bail!("nothing is stale without the flush, in {TRIES} boots")
}

/// Builds and boots it, and returns the line that it ends with.
fn boot(root: &Path, folder: &Path, target: &str, features: &str) -> Result<String> {
    let target = root.join(target);
    let mut build =
        cargo(folder, &format!("build --quiet --release --locked --target {TARGET} {features} --target-dir"));
    process::run(build.arg(&target))?;
    let machine = ["-machine", "virt", "-smp", "4", "-m", "256M", "-no-reboot"];
    let image = target.join(TARGET).join("release/trampoline");
    let (_, text) = process::boot(PATIENCE, "qemu-system-riscv64", &machine, &image)?;
    let line = text.lines().find(|line| line.ends_with("stale reads"));
    Ok(line.with_context(|| format!("the machine does not end by itself:\n{text}"))?.to_owned())
}

fn stale(told: &str) -> Result<u64> {
    let number = told.rsplit(", ").next().and_then(|last| last.split(' ').next());
    number.and_then(|number| number.parse().ok()).with_context(|| format!("no number of stale reads: {told}"))
}
