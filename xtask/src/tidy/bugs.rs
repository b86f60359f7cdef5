//! The bug collection: every file of a bug is in its class and has its story, and every header is sound.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

use super::read::{Finding, Source};
use crate::process::{Checked, checked};

/// A folder a class.
const BUGS: &str = "crates/cases/src/bugs/";

/// Reads all files: which of them belong together.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let inside: BTreeMap<&str, &Source> =
        sources.iter().filter_map(|source| Some((source.path.strip_prefix(BUGS)?, source))).collect();
    inside.iter().filter_map(|(path, source)| Some(source.finding(1, stray(path, &inside)?))).collect()
}

/// Says what the file at `path` lacks, if it is a bug or a story.
fn stray(path: &str, inside: &BTreeMap<&str, &Source>) -> Option<String> {
    let (class, file) = path.split_once('/')?;
    if let Some(stem) = file.strip_suffix(".md") {
        let model = format!("{class}/{stem}.rs");
        return (!inside.contains_key(model.as_str())).then(|| format!("a story without {model}"));
    }
    let stem = file.strip_suffix(".rs").filter(|stem| *stem != "mod")?;
    let list = format!("{class}/mod.rs");
    let listed = inside.get(list.as_str()).is_some_and(|list| {
        let bugs = list.text.split_once("bugs![").map_or("", |(_, bugs)| bugs);
        let named = bugs.split(|c: char| c != '_' && !c.is_alphanumeric()).any(|name| name == stem);
        list.text.contains(&format!("mod {stem};")) && named
    });
    let story = inside.contains_key(format!("{class}/{stem}.md").as_str());
    match (listed, story) {
        (false, _) => Some(format!("{list} does not list this bug")),
        (true, false) => Some(format!("a bug without its story, {class}/{stem}.md")),
        (true, true) => None,
    }
}

/// Asks the bugs themselves what is wrong with their headers: a line each, with bug and file.
///
/// # Errors
/// The command that asks cannot be built or says something else.
pub fn headers(root: &Path) -> Result<Vec<String>> {
    let Checked { status, said, .. } = checked(root, "bugs --list")?;
    let problems = malformed(&said);
    ensure!(status.success() || !problems.is_empty(), "the bugs cannot be listed: {said}");
    Ok(problems)
}

fn malformed(said: &str) -> Vec<String> {
    said.lines().filter_map(|line| line.strip_prefix("malformed: ")).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::{malformed, read};
    use crate::tidy::read::{Source, source};

    fn file(name: &str, text: &str) -> Source {
        source(&format!("crates/cases/src/bugs/masks/{name}"), text)
    }

    #[test]
    fn a_bug_is_listed_and_has_a_story() {
        let list = file("mod.rs", "mod a;\nmod b;\npub(super) const ALL: &[Bug] = bugs![a, b];\n");
        let whole = [list.clone(), file("a.rs", ""), file("a.md", ""), file("b.rs", ""), file("b.md", "")];
        assert_eq!(read(&whole), []);
        let strays = [list, file("a.rs", ""), file("c.rs", ""), file("c.md", ""), file("d.md", "")];
        let said: Vec<String> = read(&strays).iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("masks/a.rs") && said[0].ends_with("without its story, masks/a.md"));
        assert!(said[1].contains("masks/c.rs") && said[1].ends_with("masks/mod.rs does not list this bug"));
        assert!(said[2].contains("masks/d.md") && said[2].ends_with("a story without masks/d.rs"));
    }

    #[test]
    fn files_elsewhere_are_left_alone() {
        assert_eq!(read(&[source("crates/cases/src/protocols/lock.rs", ""), source("a.md", "")]), []);
    }

    #[test]
    fn malformed_headers_are_picked_out_of_what_is_said() {
        let said = "warning: x\nmalformed: linux-x (linux_x.rs): the field `source` is empty\n";
        assert_eq!(malformed(said), ["linux-x (linux_x.rs): the field `source` is empty"]);
    }
}
