//! The sets of mutants, as data: `xtask/mutants/*.toml`, one file for each source file of the engine, and
//! `xtask/mutants/explorer/*.toml`, one for each of the explorer that has any.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

/// What mutants are put into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Mutated {
    /// The engine.
    #[default]
    Engine,
    /// The explorer: its reductions, and what it makes of orderings and interrupts.
    Explorer,
}

impl Mutated {
    /// Folder of its set.
    pub fn set(self) -> &'static str {
        match self {
            Self::Engine => "xtask/mutants",
            Self::Explorer => "xtask/mutants/explorer",
        }
    }

    /// Name of its package, and the folder of that.
    pub fn package(self) -> (&'static str, &'static str) {
        match self {
            Self::Engine => ("shootdown", "crates/shootdown"),
            Self::Explorer => ("shootdown-explore", "crates/explore"),
        }
    }

    /// The checkers that may catch its mutants.
    pub fn checkers(self) -> &'static [Checker] {
        match self {
            Self::Engine => &Checker::ALL,
            Self::Explorer => &[Checker::Tests],
        }
    }

    /// What `breaks` begins with: a pattern, and in words.
    fn breaks(self) -> (&'static str, &'static str) {
        match self {
            Self::Engine => (r"^(SD-(?<rule>\d+)|API): \S", "a rule, `SD-n: `, or with `API: `"),
            Self::Explorer => (
                r"^(reduction|memory|interrupt|wait): \S",
                "what is broken, `reduction: `, `memory: `, `interrupt: ` or `wait: `",
            ),
        }
    }
}

/// One small mistake that is put into the source.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// Name, unique in the whole set.
    pub name: String,
    #[serde(rename = "in")]
    within: Option<String>,
    find: String,
    replace: String,
    /// More edits that belong to the same mistake.
    #[serde(default)]
    also: Vec<Edit>,
    /// The rule and, in a sentence, how it is broken: `SD-4: ...`.
    pub breaks: String,
    /// What catches it: checker and case.
    pub caught: Option<Catcher>,
    /// Why nothing can catch it.
    pub equivalent: Option<String>,
    /// What the checkers lack that would catch it.
    pub open: Option<String>,
    /// The source file, from the folder of sources; the file of the set says it once.
    #[serde(skip)]
    pub file: String,
}

/// A snippet and what replaces it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Text in the first line of the function or block in which the snippet occurs once.
    #[serde(rename = "in")]
    pub within: Option<String>,
    /// The snippet: an expression, or whole statements. White space stands for any white space.
    pub find: String,
    /// What takes its place.
    pub replace: String,
}

/// A checker that may catch mutants; cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Checker {
    /// The explorer, on the engine's scenarios.
    Explorer,
    /// loom, on its scenarios.
    Loom,
    /// The engine's own tests.
    Tests,
}

impl Checker {
    /// All, in the order in which they are tried.
    pub const ALL: [Checker; 3] = [Checker::Explorer, Checker::Loom, Checker::Tests];

    fn name(self) -> &'static str {
        match self {
            Self::Explorer => "explorer",
            Self::Loom => "loom",
            Self::Tests => "tests",
        }
    }
}

/// Checker and case: `explorer: seed`, `loom: kept_bit`, `tests: host::a_name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Catcher {
    /// The checker.
    pub checker: Checker,
    /// The case or test; of tests, with the test target before it.
    pub case: String,
}

impl fmt::Display for Catcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker.name(), self.case)
    }
}

impl TryFrom<String> for Catcher {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts = text.split_once(": ").map(|(checker, case)| (checker, case.trim()));
        let known = parts.and_then(|(name, case)| {
            Some((Checker::ALL.into_iter().find(|checker| checker.name() == name)?, case))
        });
        match known {
            Some((checker, case)) if !case.is_empty() => Ok(Self { checker, case: case.to_owned() }),
            _ => Err(format!(
                "{text:?} is no catcher; write `explorer: CASE`, `loom: TEST` or `tests: TARGET::TEST`"
            )),
        }
    }
}

impl Mutant {
    /// All of its edits.
    pub fn edits(&self) -> Vec<Edit> {
        let Self { within, find, replace, .. } = self.clone();
        std::iter::once(Edit { within, find, replace }).chain(self.also.clone()).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sheet {
    file: String,
    mutant: Vec<Mutant>,
}

/// Reads the whole set, file by file in the order of their names.
///
/// # Errors
/// A file cannot be read, or an entry is not as it must be; the error names it.
pub fn read(root: &Path, mutated: Mutated) -> Result<Vec<Mutant>> {
    let mut all = Vec::new();
    for path in sheets(root, mutated)? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        all.extend(parse(&text, mutated).with_context(|| format!("in {}", path.display()))?);
    }
    let mut names = BTreeSet::new();
    for mutant in &all {
        ensure!(names.insert(&mutant.name), "two mutants are called {}", mutant.name);
    }
    ensure!(!all.is_empty(), "{} has no mutants", mutated.set());
    Ok(all)
}

/// Files of the set.
///
/// # Errors
/// The folder cannot be read.
pub fn sheets(root: &Path, mutated: Mutated) -> Result<Vec<PathBuf>> {
    let folder = root.join(mutated.set());
    let entries = folder.read_dir().with_context(|| format!("cannot read {}", mutated.set()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "toml"));
    paths.sort();
    Ok(paths)
}

/// Reads one file of the set.
///
/// # Errors
/// An entry is not as it must be; the error names it.
pub fn parse(text: &str, mutated: Mutated) -> Result<Vec<Mutant>> {
    let sheet: Sheet = toml::from_str(text)?;
    let name = Regex::new("^[a-z0-9]+(-[a-z0-9]+)*$").expect("a constant pattern");
    let (pattern, begins) = mutated.breaks();
    let breaks = Regex::new(pattern).expect("a constant pattern");
    let mut mutants = sheet.mutant;
    for mutant in &mut mutants {
        ensure!(
            name.is_match(&mutant.name),
            "{:?} is no name; use small letters, digits and `-`",
            mutant.name
        );
        let known = breaks.captures(&mutant.breaks).is_some_and(|begins| match begins.name("rule") {
            Some(rule) => {
                rule.as_str().parse().is_ok_and(|rule| (1..=shootdown::trace::rules::LAST).contains(&rule))
            }
            None => true,
        });
        if !known {
            bail!("{}: `breaks` begins with {begins}", mutant.name);
        }
        let said = [mutant.caught.is_some(), mutant.equivalent.is_some(), mutant.open.is_some()];
        if said.into_iter().filter(|said| *said).count() > 1 {
            bail!("{}: keep one of `caught`, `equivalent`, `open`", mutant.name);
        }
        mutant.file.clone_from(&sheet.file);
    }
    Ok(mutants)
}

#[cfg(test)]
mod tests {
    use super::{Catcher, Checker, Mutated};

    const HEAD: &str = "file = \"flush.rs\"\n[[mutant]]\nname = \"a-b\"\nfind = \"x\"\nreplace = \"y\"\n";

    fn parse(text: &str) -> anyhow::Result<Vec<super::Mutant>> {
        super::parse(text, Mutated::Engine)
    }

    fn refusal(text: &str) -> String {
        format!("{:#}", parse(text).expect_err("must be refused"))
    }

    #[test]
    fn an_entry_is_read_with_its_file_and_all_of_its_edits() {
        let more = "breaks = \"SD-4: late\"\ncaught = \"explorer: seed/pso\"\nalso = [{ in = \"fn f\", find = \"z\", replace = \"\" }]\n";
        let mutants = parse(&format!("{HEAD}{more}")).expect("a sheet");
        assert_eq!(mutants[0].file, "flush.rs");
        assert_eq!(mutants[0].edits().iter().map(|edit| edit.find.as_str()).collect::<Vec<_>>(), ["x", "z"]);
        let caught = Catcher { checker: Checker::Explorer, case: "seed/pso".to_owned() };
        assert_eq!(mutants[0].caught.as_ref(), Some(&caught));
        assert_eq!(caught.to_string(), "explorer: seed/pso");
    }

    #[test]
    fn entries_that_are_not_as_they_must_be_are_refused_by_name() {
        let next = shootdown::trace::rules::LAST + 1;
        assert!(refusal(&format!("{HEAD}breaks = \"SD-{next}: x\"\n")).contains("a-b: `breaks` begins"));
        let of_explorer = super::parse(&format!("{HEAD}breaks = \"SD-1: x\"\n"), Mutated::Explorer);
        assert!(format!("{:#}", of_explorer.expect_err("no rule")).contains("`reduction: `"));
        let both = format!("{HEAD}breaks = \"SD-1: x\"\ncaught = \"loom: a\"\nequivalent = \"b\"\n");
        assert!(refusal(&both).contains("a-b: keep one of"));
        let nobody = format!("{HEAD}breaks = \"SD-1: x\"\ncaught = \"miri: a\"\n");
        assert!(refusal(&nobody).contains("is no catcher"));
        let spaced = format!("{HEAD}breaks = \"SD-1: x\"\n").replace("a-b", "A b");
        assert!(refusal(&spaced).contains("is no name"));
        assert!(refusal(&format!("{HEAD}breaks = \"SD-1: x\"\nfound = \"y\"\n")).contains("found"));
    }
}
