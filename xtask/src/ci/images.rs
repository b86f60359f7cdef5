//! Images for the MMUs of QEMU's sun4u and LoongArch machines: what each sequence drops, the engine on a TLB that tells
//! tags apart, and rules that are missing there.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::outcome::Done;
use crate::process::{self, cargo};
use crate::toolchain::{ensure_core, nightly_builds_core};

/// An image: a workspace of its own.
struct Image {
    folder: PathBuf,
    target: &'static str,
    file: &'static str,
    /// The machine that boots it: a program and its arguments.
    qemu: &'static str,
    machine: &'static [&'static str],
    /// Which toolchain builds it, for cargo; empty for the usual one.
    toolchain: &'static str,
    /// Rules whose absence it sees.
    removals: &'static [&'static str],
}

/// Seconds after which a machine hangs: it takes a few.
const PATIENCE: &str = "120";

/// One CPU, which is how many QEMU's sparc64 machines have.
///
/// # Errors
/// Something is missing, or does not hold.
pub fn sparc64(root: &Path) -> Result<Done> {
    let image = Image {
        folder: root.join("kernel/sparc64"),
        target: "sparc64-unknown-linux-gnu",
        file: "shootdown-sparc64-image",
        qemu: "qemu-system-sparc64",
        machine: &["-M", "sun4u", "-m", "256M"],
        toolchain: "+nightly",
        removals: &["4", "5", "12", "14"],
    };
    if !image.has_machine() {
        bail!("{} is missing: apt-get install -y --no-install-recommends qemu-system-sparc", image.qemu);
    }
    ensure!(nightly_builds_core(), "a nightly toolchain with rust-src is missing");
    image.examine()
}

/// Two cores, which send each other IPIs.
///
/// # Errors
/// Something does not hold. Where QEMU has no such machine, or no toolchain its core library, the step is skipped.
pub fn loongarch64(root: &Path) -> Result<Done> {
    const TARGET: &str = "loongarch64-unknown-none-softfloat";
    let mut image = Image {
        folder: root.join("kernel/loongarch64"),
        target: TARGET,
        file: "shootdown-loongarch64-image",
        qemu: "qemu-system-loongarch64",
        machine: &["-M", "virt", "-smp", "2"],
        toolchain: "+nightly",
        removals: &["1", "4", "5", "9", "12"],
    };
    if !image.has_machine() {
        return Ok(Done::Skipped(format!("{} is missing; Debian 12 has it in qemu-system-misc", image.qemu)));
    }
    if !nightly_builds_core() {
        image.toolchain = "";
        if let Err(error) = ensure_core(TARGET) {
            return Ok(Done::Skipped(format!("{error:#}; nor is there a nightly toolchain with rust-src")));
        }
    }
    image.examine()
}

impl Image {
    /// Whether QEMU is there, with the machine.
    fn has_machine(&self) -> bool {
        let listed = Command::new(self.qemu).args(["-M", "help"]).stderr(Stdio::null()).output();
        let text = listed
            .ok()
            .filter(|output| output.status.success())
            .map(|output| output.stdout)
            .unwrap_or_default();
        String::from_utf8_lossy(&text)
            .lines()
            .any(|line| line.split_whitespace().next() == Some(self.machine[1]))
    }

    /// Boots it as it is, and without each rule.
    fn examine(&self) -> Result<Done> {
        process::run(&mut cargo(&self.folder, "fmt --check"))?;
        process::run(&mut self.build("target"))?;
        let records = self.run("target")?;
        let of = |event: &str| records.iter().filter(|record| record["event"] == event).collect::<Vec<_>>();
        let checks = of("check");
        for check in &checks {
            ensure!(check["holds"] == true, "does not hold: {}", check["name"]);
        }
        let contexts = of("contexts").first().copied().context("the engine did not run")?;
        ensure!(
            !checks.is_empty() && of("end").iter().any(|end| end["clean"] == true),
            "not clean: {contexts}"
        );
        for rule in self.removals {
            self.removed(rule)?;
        }
        let seen = self.removals.len();
        Ok(Done::Passed(format!("{} checks hold; {}; {seen} removals seen", checks.len(), told(contexts))))
    }

    fn build(&self, into: &str) -> Command {
        let how = "build --quiet --release --locked --target-dir";
        cargo(&self.folder, &format!("{} {how} {into}", self.toolchain))
    }

    /// Builds without a rule, runs, and fails unless stale translations are met.
    fn removed(&self, rule: &str) -> Result<()> {
        let flags = format!("target.{}.rustflags=[\"--cfg\",\"shootdown_break\"]", self.target);
        let into = "target/break";
        process::run(self.build(into).args(["--config", &flags]).env("SHOOTDOWN_BREAK", rule))?;
        let records = self.run(into)?;
        let contexts = records.iter().find(|record| record["event"] == "contexts").context("no report")?;
        ensure!(contexts["stale"].as_u64() > Some(0), "SD-{rule} is removed, and nothing is stale");
        println!("{} without SD-{rule}: {}", self.file, told(contexts));
        Ok(())
    }

    /// Boots the image that was built into a folder, and returns what it reports.
    fn run(&self, built: &str) -> Result<Vec<Value>> {
        let image = self.folder.join(built).join(self.target).join("release").join(self.file);
        let (status, text) = process::boot(PATIENCE, self.qemu, self.machine, &image)?;
        ensure!(status.success(), "the machine does not end by itself:\n{text}");
        let reports = text.lines().filter_map(|line| line.trim().strip_prefix('@'));
        reports.map(serde_json::from_str).collect::<Result<_, _>>().context("a report that is not JSON")
    }
}

/// What an image counted, in words.
fn told(contexts: &Value) -> String {
    let counts = contexts.as_object().into_iter().flatten().filter(|(_, count)| count.is_u64());
    counts.map(|(name, count)| format!("{count} {name}")).collect::<Vec<_>>().join(", ")
}
