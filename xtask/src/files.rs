//! Files of checkouts, and copies of them.

use anyhow::{Context, Result};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::process::{self, read};

/// The files of a folder of a checkout, as git knows them, and those that are new.
///
/// # Errors
/// Git does not say.
pub fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(folder).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = read(&mut git)?;
    let files = listed.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
    // What was deleted and is not committed yet is listed too.
    Ok(files.filter(|file| folder.join(file).is_file()).collect())
}

/// Copies files and folders of `from`, with their times; files that are one by hard links become several.
///
/// # Errors
/// One cannot be copied.
pub fn copy_files(from: &Path, files: Vec<PathBuf>, to: &Path) -> Result<()> {
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let list: Vec<&[u8]> = files.iter().map(|file| file.as_os_str().as_encoded_bytes()).collect();
    let mut copy = Command::new("xargs");
    copy.current_dir(from).args(["-0", "cp", "-PR", "--preserve=mode,timestamps", "--parents", "-t"]).arg(to);
    let mut copying = copy.stdin(Stdio::piped()).spawn().context("cannot start xargs")?;
    copying.stdin.take().context("a pipe was asked for")?.write_all(&list.join(&0))?;
    process::check(&copy, copying.wait()?)
}

/// Removes a folder, if it is there.
///
/// # Errors
/// It cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    Ok(())
}
