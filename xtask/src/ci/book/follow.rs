//! Does what chapters tell their reader to do: writes the files, makes the mistakes, runs the commands.

use anyhow::{Context, Result, bail, ensure};
use ports_examples::Wrong;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::check::ELSEWHERE;
use super::read::Book;
use crate::ci::chapter::{PROMPT, missing};
use crate::process::{self, cargo};

/// Where files are written, and commands run.
const WORK: &str = "target/book-work";

/// Something that a chapter says to do.
#[derive(Debug, PartialEq, Eq)]
enum Task {
    /// Add this to a file.
    Write(String, String),
    /// Make this mistake in a file.
    Change(String, String),
    /// Run this, which prints these lines, among others.
    Run(String, Vec<String>),
}

/// Follows all chapters, in their order; says how much there was to do.
///
/// # Errors
/// A command does not print what its chapter shows.
pub fn follow(root: &Path, book: &Book) -> Result<String> {
    process::run(&mut cargo(root, "build --release --quiet"))?;
    let work = root.join(WORK);
    if work.exists() {
        fs::remove_dir_all(&work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let (mut files, mut commands) = (0, 0);
    for chapter in book.chapters.iter().filter(|chapter| chapter.file != ELSEWHERE) {
        for task in tasks(&chapter.text) {
            let done = match &task {
                Task::Write(file, text) => add(&work.join(file), text),
                Task::Change(file, change) => make_mistake(&work.join(file), change),
                Task::Run(arguments, output) => run(root, &work, arguments, output),
            };
            done.with_context(|| format!("{} cannot be followed", chapter.file))?;
            match task {
                Task::Run(..) => commands += 1,
                Task::Write(..) | Task::Change(..) => files += 1,
            }
        }
    }
    ensure!(files > 0 && commands > 0, "no chapter tells its reader to do anything");
    Ok(format!("{files} pieces of files written, {commands} commands run"))
}

fn add(path: &Path, text: &str) -> Result<()> {
    let before = fs::read_to_string(path).unwrap_or_default();
    let gap = if before.is_empty() { "" } else { "\n" };
    fs::create_dir_all(path.parent().unwrap_or(path))?;
    fs::write(path, format!("{before}{gap}{text}"))
        .with_context(|| format!("cannot write {}", path.display()))
}

fn make_mistake(path: &Path, change: &str) -> Result<()> {
    let before = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A change that is written in the chapter itself has no head.
    let head = if change.starts_with("platform: ") { "" } else { "platform: -\ncheck: -\nabout: -\n\n" };
    fs::write(path, Wrong::parse("the chapter's change", &format!("{head}{change}")).applied(&before))?;
    Ok(())
}

fn run(root: &Path, work: &Path, arguments: &str, shown: &[String]) -> Result<()> {
    println!("{PROMPT}{arguments}");
    let program = root.join("target/release").join(format!("shootdown{}", std::env::consts::EXE_SUFFIX));
    let mut command = Command::new(program);
    command.current_dir(work).args(arguments.split_whitespace());
    let output = command.output().with_context(|| format!("cannot start {}", process::line(&command)))?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    // 1 says that something was found, which may be what the chapter shows.
    if !matches!(output.status.code(), Some(0 | 1)) {
        bail!("`{arguments}` ends with {}:\n{printed}{errors}", output.status);
    }
    if let Some(line) = missing(shown, &format!("{errors}{printed}")) {
        bail!("a line is shown that `{arguments}` does not print there: {line}\n{printed}{errors}");
    }
    Ok(())
}

/// Picks out what a chapter says to do. Code belongs to the file that the line before it names: "In `src/lib.rs`:".
fn tasks(text: &str) -> Vec<Task> {
    let mut tasks = Vec::new();
    let mut before = String::new();
    let mut block: Option<(String, Vec<String>)> = None;
    for line in text.lines() {
        match (&mut block, line.strip_prefix("```")) {
            (None, Some(language)) => block = Some((language.to_owned(), Vec::new())),
            (None, None) if !line.trim().is_empty() => before = line.to_owned(),
            (None, None) => {}
            (Some((_, lines)), None) => lines.push(line.to_owned()),
            (Some(_), Some(_)) => {
                if let Some((language, lines)) = block.take() {
                    tasks.extend(of_block(&before, &language, lines));
                }
                // A file is named for one block.
                before.clear();
            }
        }
    }
    tasks
}

fn of_block(before: &str, language: &str, lines: Vec<String>) -> Vec<Task> {
    if language == "console" {
        return commands(lines);
    }
    let named = before.strip_prefix("In `").and_then(|rest| rest.strip_suffix("`:"));
    let Some(file) = named.map(str::to_owned) else { return Vec::new() };
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    vec![if language == "diff" { Task::Change(file, text) } else { Task::Write(file, text) }]
}

fn commands(lines: Vec<String>) -> Vec<Task> {
    let mut tasks: Vec<Task> = Vec::new();
    for line in lines {
        match (line.strip_prefix(PROMPT), tasks.last_mut()) {
            (Some(arguments), _) => tasks.push(Task::Run(arguments.to_owned(), Vec::new())),
            (None, Some(Task::Run(_, output))) if line.trim() != "..." => output.push(line),
            (None, _) => {}
        }
    }
    tasks
}

#[cfg(test)]
mod tests {
    use super::{Task, tasks};

    #[test]
    fn files_changes_and_commands_are_picked_out_in_their_order() {
        let chapter = "text\n\nIn `a.rs`:\n\n```rust\nfn a() {}\n```\n\n```rust\nnot written\n```\n\nIn `a.rs`:\n```diff\n-a\n```\n\n\
                       ```console\n$ cargo run --release -- check x\nx holds\n...\n$ cargo run --release -- list\n```\n";
        let text = |text: &str| text.to_owned();
        assert_eq!(
            tasks(chapter),
            [
                Task::Write(text("a.rs"), text("fn a() {}\n")),
                Task::Change(text("a.rs"), text("-a\n")),
                Task::Run(text("check x"), vec![text("x holds")]),
                Task::Run(text("list"), Vec::new()),
            ]
        );
    }
}
