//! The chapter that models a protocol: its code is compiled, and its commands say what it says they do.

use anyhow::{Context, Result, ensure};
use regex::Regex;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use super::own_case::{in_copy, name_in_main};
use crate::process::read;

const CHAPTER: &str = "docs/book/src/modelling-a-protocol.md";
/// What its commands begin with.
pub const PROMPT: &str = "$ cargo run --release -- ";
const MODULE: &str = "linux_mips_borrow";

/// Counts and times change with the checker and the machine; what is said does not.
static NUMBER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d[\d,.]*").expect("a constant pattern"));

/// Does in `copy`, a copy of the example package, what the chapter tells its reader to do; returns how many commands.
///
/// # Errors
/// A command fails, or does not print what the chapter shows.
pub fn follow(root: &Path, copy: &Path) -> Result<usize> {
    let path = root.join(CHAPTER);
    let chapter = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let commands = commands(&chapter);
    ensure!(!commands.is_empty(), "{CHAPTER} has no commands");
    for Shown { arguments, output } in &commands {
        println!("{PROMPT}{arguments}");
        let printed = read(&mut in_copy(root, copy, &format!("run --quiet --release -- {arguments}")))?;
        if let Some(line) = missing(output, &printed) {
            anyhow::bail!(
                "{CHAPTER} shows a line that `{arguments}` does not print there: {line}\n{printed}"
            );
        }
        if arguments.starts_with("new-case ") {
            let model = copy.join(format!("src/{MODULE}.rs"));
            fs::write(&model, code(&chapter)).with_context(|| format!("cannot write {}", model.display()))?;
            name_in_main(copy, MODULE)?;
        }
    }
    Ok(commands.len())
}

/// A command, and what is shown of its output.
#[derive(Debug, Default, PartialEq, Eq)]
struct Shown {
    arguments: String,
    output: Vec<String>,
}

/// Joins the chapter's code: one file, in pieces.
fn code(chapter: &str) -> String {
    blocks(chapter, "rust").join("\n")
}

fn commands(chapter: &str) -> Vec<Shown> {
    let mut commands: Vec<Shown> = Vec::new();
    for line in blocks(chapter, "console").iter().flat_map(|block| block.lines()) {
        match (line.strip_prefix(PROMPT), commands.last_mut()) {
            (Some(arguments), _) => {
                commands.push(Shown { arguments: arguments.to_owned(), ..Shown::default() });
            }
            (None, Some(last)) => last.output.push(line.to_owned()),
            (None, None) => {}
        }
    }
    commands
}

/// Returns the blocks of `text` in `language`.
pub fn blocks(text: &str, language: &str) -> Vec<String> {
    let (mut blocks, mut inside) = (Vec::new(), None::<String>);
    for line in text.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(name)) if name == language => inside = Some(String::new()),
            (None, _) => {}
            (Some(block), None) => *block += &format!("{line}\n"),
            (Some(_), Some(_)) => blocks.extend(inside.take()),
        }
    }
    blocks
}

/// Returns the first line of `shown` that is not in `printed` behind the ones before it, numbers apart.
pub fn missing<'s>(shown: &'s [String], printed: &str) -> Option<&'s str> {
    let alike = |line: &str| NUMBER.replace_all(line, "#").split_whitespace().collect::<Vec<_>>().join(" ");
    let mut printed = printed.lines().map(alike);
    let is_missing = |line: &&String| {
        let wanted = alike(line);
        !printed.any(|line| line == wanted)
    };
    shown.iter().find(is_missing).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::{Shown, blocks, commands, missing};

    const CHAPTER: &str = "text\n```rust\nfn a() {\n```\n\n```console\n$ cargo run --release -- check x\nx  1 s\n\
                           $ cargo run --release -- list\n```\n```rust\n}\n```\n";

    #[test]
    fn code_and_commands_are_picked_out() {
        assert_eq!(blocks(CHAPTER, "rust"), ["fn a() {\n", "}\n"]);
        let shown = |arguments: &str, output: &[&str]| Shown {
            arguments: arguments.to_owned(),
            output: output.iter().map(|&line| line.to_owned()).collect(),
        };
        assert_eq!(commands(CHAPTER), [shown("check x", &["x  1 s"]), shown("list", &[])]);
    }

    #[test]
    fn what_is_shown_must_be_printed_in_its_order_whatever_the_numbers() {
        let shown = ["x  holds  1,234  0.5 s", "y  holds"].map(str::to_owned);
        assert_eq!(missing(&shown, "head\nx holds 99 1.25 s\nz\ny holds\n"), None);
        assert_eq!(missing(&shown, "y holds\nx holds 99 1.25 s\n"), Some("y  holds"));
        assert_eq!(missing(&shown, "x fails 99 1.25 s\n"), Some("x  holds  1,234  0.5 s"));
    }
}
