//! The table of mutants, and the record of who catches each.

use anyhow::{Context, Result};
use std::path::Path;

use super::Fate;
use super::set::{self, Catcher, Mutant, Mutated};

/// Prints a line for each mutant, then what is recorded and no longer so.
pub fn print(rows: &[(&Mutant, Fate)]) {
    let widest = rows.iter().map(|(mutant, _)| mutant.name.len()).max().unwrap_or(0);
    println!("{:widest$} | caught by | states | what it breaks", "mutant");
    for (mutant, fate) in rows {
        println!("{:widest$} | {} | {}", mutant.name, row(mutant, fate), mutant.breaks);
    }
    let outdated: Vec<String> = rows.iter().filter_map(|(mutant, fate)| outdated(mutant, fate)).collect();
    if !outdated.is_empty() {
        println!("\nRecorded catchers that are out of date; `--record` writes them down:");
        outdated.iter().for_each(|line| println!("  {line}"));
    }
}

fn row(mutant: &Mutant, fate: &Fate) -> String {
    match fate {
        Fate::Caught(found) => {
            let states = found.states.map_or("-".to_owned(), |states| states.to_string());
            format!("{} | {states}", found.catcher)
        }
        Fate::Argued => format!("argued: {} | -", mutant.equivalent.as_deref().unwrap_or_default().trim()),
        Fate::Open => format!("OPEN: {} | -", mutant.open.as_deref().unwrap_or_default().trim()),
        Fate::Survived(stopped) if stopped.is_empty() => "NOBODY | -".to_owned(),
        Fate::Survived(stopped) => format!("NOBODY; stopped: {} | -", stopped.join(", ")),
    }
}

fn outdated(mutant: &Mutant, fate: &Fate) -> Option<String> {
    let recorded = mutant.caught.as_ref().map_or("nobody".to_owned(), Catcher::to_string);
    match fate {
        Fate::Caught(found) if mutant.caught.as_ref() != Some(&found.catcher) => {
            Some(format!("{}: {recorded}, now {}", mutant.name, found.catcher))
        }
        Fate::Survived(_) if mutant.caught.is_some() => {
            Some(format!("{}: {recorded}, now nobody", mutant.name))
        }
        _ => None,
    }
}

/// Writes into the set who catches each mutant.
///
/// # Errors
/// A file of the set cannot be read or written.
pub fn record(root: &Path, mutated: Mutated, rows: &[(&Mutant, Fate)]) -> Result<()> {
    for path in set::sheets(root, mutated)? {
        let old =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut text = old.clone();
        for (mutant, fate) in rows {
            if let Fate::Caught(found) = fate {
                text = recorded(&text, &mutant.name, &found.catcher);
            }
        }
        if text != old {
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

/// The text of a sheet with `catcher` in the entry called `name`, if there is one.
fn recorded(text: &str, name: &str, catcher: &Catcher) -> String {
    let head = format!("name = \"{name}\"");
    let new = format!("caught = \"{catcher}\"");
    let mut out: Vec<String> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let ends = inside && (line.is_empty() || line.starts_with("[["));
        if ends {
            out.push(new.clone());
            inside = false;
        }
        if inside && (line.starts_with("caught = ") || line.starts_with("open = ")) {
            continue;
        }
        out.push(line.to_owned());
        inside |= line == head;
    }
    if inside {
        out.push(new);
    }
    out.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::{Catcher, recorded};
    use crate::mutants::set::Checker;

    #[test]
    fn a_catcher_is_written_into_its_entry_and_into_no_other() {
        let catcher = Catcher { checker: Checker::Loom, case: "b".to_owned() };
        let text = "[[mutant]]\nname = \"x\"\ncaught = \"explorer: a\"\nbreaks = \"y\"\n\n[[mutant]]\nname = \"z\"\n";
        let once = recorded(text, "x", &catcher);
        assert_eq!(
            once,
            "[[mutant]]\nname = \"x\"\nbreaks = \"y\"\ncaught = \"loom: b\"\n\n[[mutant]]\nname = \"z\"\n"
        );
        assert_eq!(recorded(&once, "x", &catcher), once);
        assert!(recorded(&once, "z", &catcher).ends_with("name = \"z\"\ncaught = \"loom: b\"\n"));
        assert_eq!(recorded(&once, "w", &catcher), once);
    }
}
