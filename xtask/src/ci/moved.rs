//! A built checkout that is copied to another folder checks the engine that lies there, not the one that it was built
//! from.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, FileTimes};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::outcome::Done;
use crate::files::{copy_files, remove, sources};
use crate::measure::target_folder;
use crate::process::{self, cargo, read};

#[path = "../../../checks/source.rs"]
#[expect(dead_code, reason = "build scripts follow the sources; this step compares them")]
mod source;

const COPY: &str = "target/moved";
/// As [`CHECK`] builds it, which a first run of the command is, but for the optimiser: what cargo builds again is what is
/// looked at, and it is built twice.
const BUILD: &str = "build --release --package shootdown-cli --bin shootdown";
const CHECK: &str = "run --quiet --release -- check seed";
const ENGINE: &str = "crates/shootdown/src";
/// A line of the engine, and the same line with SD-2 broken: a CPU does not enter the mask.
const LINE: (&str, &str) =
    ("self.word(me).fetch_or(bit(me), Ordering::Relaxed);", "self.word(me).fetch_or(0, Ordering::Relaxed);");
const FILE: &str = "crates/shootdown/src/mask.rs";

pub fn moved(root: &Path) -> Result<Done> {
    let copy = copied(root)?;
    let file = copy.join(FILE);
    let original = fs::read_to_string(&file)?;
    let times = fs::metadata(&file)?.modified()?;
    ensure!(original.contains(LINE.0), "{FILE} is not as this step knows it");
    fs::write(&file, original.replace(LINE.0, LINE.1))?;
    let edited = source::hash(&copy.join(ENGINE))?;

    let seen = check(&copy)?;
    ensure!(seen.status.code() == Some(1), "a mask without its CPU is not noticed: {}", said(&seen));
    ensure!(said(&seen).contains(&edited), "another engine was compiled than {edited}: {}", said(&seen));

    // Put back with the time that it had: cargo sees nothing to do.
    fs::write(&file, original)?;
    File::options().write(true).open(&file)?.set_times(FileTimes::new().set_modified(times))?;
    let refused = check(&copy)?;
    let place = copy.join(ENGINE).display().to_string();
    let found = source::hash(&copy.join(ENGINE))?;
    ensure!(refused.status.code() == Some(2), "the engine of another source is checked: {}", said(&refused));
    for part in [&place, &edited, &found, "cargo build --release"] {
        ensure!(said(&refused).contains(part), "the refusal does not name {part:?}: {}", said(&refused));
    }
    remove(&copy)?;
    Ok(Done::Passed("an edit in a copied tree is what is checked, and an older program is refused".into()))
}

fn check(copy: &Path) -> Result<Output> {
    let mut command = own_target(copy, CHECK);
    println!("$ {}", process::line(&command));
    command.output().context("cannot start cargo")
}

/// Cargo in `folder`, with the target folder that lies there.
fn own_target(folder: &Path, arguments: &str) -> Command {
    let mut command = quickly(folder, arguments);
    command.env_remove("CARGO_TARGET_DIR");
    command
}

/// Cargo in `folder`, without optimisation.
fn quickly(folder: &Path, arguments: &str) -> Command {
    let mut command = cargo(folder, arguments);
    command.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0");
    command
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text)).concat()
}

/// Builds here, and copies sources and what was built, with their times; returns the copy.
fn copied(root: &Path) -> Result<PathBuf> {
    let copy = root.join(COPY);
    remove(&copy)?;
    process::run(&mut quickly(root, BUILD))?;
    let target = target_folder(root)?.join("release");
    copy_files(root, sources(root)?, &copy)?;
    // All packages' small files, and of the large ones those that this program is made of.
    let inside = |file: PathBuf| file.strip_prefix(&target).ok().map(Path::to_path_buf);
    let mut files: Vec<PathBuf> = artifacts(root)?.into_iter().filter_map(inside).collect();
    let deps = target.join("deps");
    for file in deps.read_dir().with_context(|| format!("cannot read {}", deps.display()))? {
        files.extend(inside(file?.path()).filter(|file| file.extension() == Some(OsStr::new("d"))));
    }
    files.extend([".fingerprint", "build"].map(PathBuf::from));
    copy_files(&target, files, &copy.join("target/release"))?;
    Ok(copy)
}

/// The libraries and programs that the command is made of.
fn artifacts(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let messages = read(&mut quickly(root, &format!("{BUILD} --quiet --message-format=json")))?;
    let mut files = BTreeSet::new();
    for line in messages.lines() {
        let message: Value = serde_json::from_str(line).context("a line of cargo's that is not JSON")?;
        let names = message["filenames"].as_array().into_iter().flatten();
        files.extend(names.filter_map(Value::as_str).map(PathBuf::from));
        files.extend(message["executable"].as_str().map(PathBuf::from));
    }
    // Metadata that is not named: pipelined builds read it.
    let metadata: Vec<_> = files.iter().map(|file| file.with_extension("rmeta")).collect();
    files.extend(metadata.into_iter().filter(|file| file.is_file()));
    Ok(files)
}
