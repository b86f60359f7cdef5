//! Does what documents tell their reader to do: writes the files, makes the changes, runs the commands, and compares
//! what is shown with what is printed. snapbox compares: `...` stands for lines that are left out.

use anyhow::{Context, Result, ensure};
use ports_examples::Wrong;
use regex::Regex;
use snapbox::data::DataFormat;
use snapbox::{Assert, Data};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use super::document::{Document, Figures, PROMPT, Shown, Task};
use crate::ci::own_case::copy_package;
use crate::files::remove;
use crate::measure::Differing;
use crate::process::{self, shootdown};

/// Where files are written, and commands run.
const WORK: &str = "target/book-work";
/// What stands for what may vary.
const VARIES: &str = "[VARIES]";

/// Counts change with the checker and the engine. Where what differs is taken, lines are found by the rest.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d[\d,.]*").expect("a constant pattern"));

/// Follows all documents, in their order; says how much there was to do. Where what differs is taken, the files become
/// what is printed.
///
/// # Errors
/// A command does not print what its document shows, or does not end so.
pub fn follow(root: &Path, documents: &[Document], differing: Differing) -> Result<String> {
    let work = root.join(WORK);
    remove(&work)?;
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let (mut files, mut commands, mut wrong) = (0, 0, 0);
    for document in documents {
        let mut place = Place::of(root, &work, document)?;
        for task in &document.tasks {
            match task {
                Task::Run(_) | Task::Figures(_) => commands += 1,
                Task::Write(..) | Task::Change(..) => files += 1,
            }
            if let Err(error) = place.follow(task, differing) {
                println!("{}: {error:#}", document.file);
                wrong += 1;
            }
        }
        rewrite(&root.join(&document.file), &place.renewed)?;
    }
    ensure!(wrong == 0, "the book and the README say {wrong} things that are not so");
    ensure!(files > 0 && commands > 0, "no document tells its reader to do anything");
    Ok(format!("{files} pieces of files written, {commands} commands run"))
}

/// Puts what is printed in the place of what is shown, in the order of both.
fn rewrite(path: &Path, renewed: &[(&str, String)]) -> Result<()> {
    if renewed.is_empty() {
        return Ok(());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (mut new, mut rest) = (String::new(), text.as_str());
    for (shown, output) in renewed {
        let (before, after) = rest.split_once(shown).context("an output that is not there")?;
        new += &format!("{before}{output}");
        rest = after;
    }
    fs::write(path, new + rest).with_context(|| format!("cannot write {}", path.display()))
}

/// Each line that is shown as it is printed now; as it was, if none is like it but for numbers.
fn renew(shown: &str, printed: &str) -> String {
    let words = |line: &str| NUMBER.replace_all(line, "#").split_whitespace().collect::<Vec<_>>().join(" ");
    // The same words further right are another CPU's. Numbers are aligned at their other end.
    let indent = |line: &str| {
        let text = line.trim_start();
        (!text.starts_with(|first: char| first.is_ascii_digit())).then(|| line.len() - text.len())
    };
    let alike = |line: &str| (indent(line), words(line));
    let mut left = printed.lines();
    let mut renew = |line: &str| {
        let mut ahead = left.clone();
        let found = ahead.find(|candidate| alike(candidate) == alike(line));
        if found.is_some() {
            left = ahead;
        }
        format!("{}\n", found.unwrap_or(line).trim_end())
    };
    shown.lines().map(&mut renew).collect()
}

/// Fails where a figure that is printed is not in its paragraph.
fn look_up(figures: &Figures, printed: &str) -> Result<()> {
    let Figures { paragraph, arguments, pattern } = figures;
    let found = pattern.captures(printed).with_context(|| format!("`{arguments}` prints no {pattern}"))?;
    ensure!(found.len() > 1, "{pattern} has no group");
    for figure in found.iter().skip(1).flatten() {
        // A number, not part of another.
        let whole =
            Regex::new(&format!(r"(^|[^\d,.]){}($|[^\d,.]|[,.](\D|$))", regex::escape(figure.as_str())))?;
        ensure!(
            whole.is_match(paragraph),
            "`{arguments}` prints {}, and the text says:\n{paragraph}",
            figure.as_str()
        );
    }
    Ok(())
}

/// Where a document is followed.
struct Place<'d> {
    folder: PathBuf,
    program: Vec<String>,
    target: PathBuf,
    /// Files that were written.
    written: BTreeSet<&'d str>,
    /// The text shown, and the text printed now.
    renewed: Vec<(&'d str, String)>,
}

impl<'d> Place<'d> {
    fn of(root: &Path, work: &Path, document: &'d Document) -> Result<Self> {
        let (written, renewed) = (BTreeSet::new(), Vec::new());
        let target = root.join("target");
        let Some(package) = &document.package else {
            let program = vec![shootdown(root, "")?.get_program().to_string_lossy().into_owned()];
            return Ok(Self { folder: work.to_owned(), program, target, written, renewed });
        };
        let folder = copy_package(root, &root.join(package))?;
        let program = ["cargo", "run", "--quiet", "--release", "--"].map(str::to_owned).to_vec();
        Ok(Self { folder, program, target, written, renewed })
    }

    fn follow(&mut self, task: &'d Task, differing: Differing) -> Result<()> {
        match (task, differing) {
            (Task::Write(file, text), _) if self.written.insert(file) => self.write(file, text),
            (Task::Write(file, text), _) => self.append(file, text),
            (Task::Change(file, change), _) => self.change(file, change),
            (Task::Figures(figures), _) => look_up(figures, &self.print(&figures.arguments, 0)?),
            (Task::Run(shown), Differing::Fails) => {
                compare(shown, &self.print(&shown.arguments, shown.code)?)
            }
            (Task::Run(shown), Differing::IsTaken) => {
                let printed = self.print(&shown.arguments, shown.code)?;
                self.renewed.push((&shown.output, renew(&shown.output, &printed)));
                Ok(())
            }
        }
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder.join(file);
        fs::create_dir_all(path.parent().unwrap_or(&path))?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn append(&self, file: &str, text: &str) -> Result<()> {
        self.write(file, &format!("{}\n{text}", self.read(file)?))
    }

    fn change(&self, file: &str, change: &str) -> Result<()> {
        // A change that is written in the document itself has no head.
        let head = if change.starts_with("platform: ") { "" } else { "platform: -\ncheck: -\nabout: -\n\n" };
        self.write(file, &Wrong::parse("the change", &format!("{head}{change}")).applied(&self.read(file)?))
    }

    fn read(&self, file: &str) -> Result<String> {
        let path = self.folder.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Runs the command, which must end with `code`; returns what it prints.
    fn print(&self, arguments: &str, code: i32) -> Result<String> {
        println!("{PROMPT}{arguments}");
        let root = self.target.parent().unwrap_or(&self.folder);
        let cargo = || ["cargo", "run", "--quiet", "--release"].map(str::to_owned).to_vec();
        let (program, folder) = match arguments.split_once(' ') {
            Some(("-p", _)) => (cargo(), root),
            Some(("--features", _)) => (cargo(), &*self.folder),
            _ => (self.program.clone(), &*self.folder),
        };
        let words = program.iter().map(String::as_str).chain(arguments.split_whitespace());
        let mut command = Command::new("sh");
        // Both streams in one, as a reader sees them.
        command.args(["-c", "exec \"$@\" 2>&1", "sh"]).args(words);
        command.current_dir(folder).env("CARGO_TARGET_DIR", &self.target);
        let output = command.output().with_context(|| format!("cannot start {}", process::line(&command)))?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let ends = output.status.code();
        ensure!(ends == Some(code), "`{arguments}` ends with {ends:?}, not with {code}:\n{printed}");
        Ok(printed)
    }
}

/// Compares what is shown with what is printed.
fn compare(shown: &Shown, printed: &str) -> Result<()> {
    if shown.output.is_empty() {
        return Ok(());
    }
    let fixed = |text: &str| -> String {
        let lines: String = text.lines().map(|line| format!("{}\n", line.trim_end())).collect();
        shown.varies.as_ref().map_or(lines.clone(), |varies| varies.replace_all(&lines, VARIES).into_owned())
    };
    let data = |text: &str| Data::text(fixed(text)).is(DataFormat::Text);
    let output = if shown.excerpt { &format!("...\n{}...\n", shown.output) } else { &shown.output };
    let assert = Assert::new().normalize_paths(false);
    let compared = assert.try_eq(Some(&"printed"), data(printed), data(output));
    compared.with_context(|| format!("`{}` prints something else than is shown", shown.arguments))
}

#[cfg(test)]
mod tests {
    use super::{Figures, Shown, compare, look_up, renew};
    use regex::Regex;

    fn differs(output: &str, printed: &str) -> bool {
        let (varies, output) = (Regex::new(r"(?m)\s+[\d.]+ s$").ok(), output.to_owned());
        let shown = Shown { arguments: String::new(), output, excerpt: false, code: 0, varies };
        compare(&shown, printed).is_err()
    }

    #[test]
    fn only_what_is_marked_and_what_is_left_out_may_differ() {
        assert!(!differs("x  holds  1,234   0.5 s\n...\n", "x  holds  1,234  12.25 s\ny\nz\n"));
        assert!(differs("x  holds  1,234  0.5 s\n", "x  holds  1,235  0.5 s\n"), "a number");
        assert!(differs("x  holds  1,234  0.5 s\n", "x  fails  1,234  0.5 s\n"), "a word");
        assert!(
            differs("x  holds  1,234  0.5 s\n", "x  holds  1,234  0.5 s\ny\n"),
            "a line that is not shown"
        );
        assert!(differs("x\n...\ny\n", "x\n"), "a line that is not printed");
    }

    #[test]
    fn numbers_are_renewed_and_words_are_not() {
        let shown = "...\nx  holds  1,234  0.5 s\nz was\ny 1\n";
        let printed = "head\ny 1\nx  holds      9  0.1 s\nz is\ny 22\n";
        assert_eq!(renew(shown, printed), "...\nx  holds      9  0.1 s\nz was\ny 22\n");
        let printed = "    fence\n    reads x = 1\n        fence\n        reads x = 2\n10 │ fence\n";
        let shown = "        fence\n        reads x = 0\n 9 │ fence\n";
        let column = "        fence\n        reads x = 2\n10 │ fence\n";
        assert_eq!(renew(shown, printed), column, "the lines of another CPU stand in another column");
    }

    #[test]
    fn figures_of_a_paragraph_are_those_that_are_printed() {
        let figures = |paragraph: &str, pattern: &str| Figures {
            paragraph: paragraph.to_owned(),
            arguments: String::new(),
            pattern: Regex::new(pattern).expect("a pattern"),
        };
        let printed = "a 2,721 b\nc 3,200\n";
        let pattern = r"a (\S+)[^c]*c (\S+)";
        assert!(look_up(&figures("2,721 against 3,200.", pattern), printed).is_ok());
        assert!(look_up(&figures("2,721 against 13,200.", pattern), printed).is_err());
        assert!(look_up(&figures("2,721 against 3,200,000.", pattern), printed).is_err());
        assert!(look_up(&figures("2,721", "d (x)"), printed).is_err(), "it is not printed");
        assert!(look_up(&figures("2,721", "a"), printed).is_err(), "nothing is compared");
    }
}
