//! The woven copy of the workspace, and what is built in it.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::set::{Checker, Mutant, Mutated};
use super::weave::{Numbered, weave};
use crate::files::sources;
use crate::process::{self, line};

impl Mutated {
    /// The copy.
    fn tree(self, root: &Path) -> PathBuf {
        self.folder(root).join("tree")
    }

    /// The programs that are built in it.
    fn built(self, root: &Path) -> PathBuf {
        self.folder(root).join("built")
    }

    fn folder(self, root: &Path) -> PathBuf {
        root.join(match self {
            Self::Engine => "target/mutants",
            Self::Explorer => "target/mutants-explorer",
        })
    }

    /// Test targets of its package that run it.
    fn tests(self) -> &'static str {
        match self {
            Self::Engine => {
                "--lib --test host --test coherence --test properties --test hard --test secondary --test tags --test soundness \
                 --test trim"
            }
            Self::Explorer => "--release --test explorer",
        }
    }
}

/// What asks which mutant is chosen, in the copy of the explorer; the engine has it where orderings are weakened.
const CHOICE: &str = r#"
mod fault {
    pub(crate) fn mutant(n: u64) -> bool {
        static CHOSEN: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
        let chosen = || std::env::var("SHOOTDOWN_MUTANT").ok().and_then(|text| text.parse().ok());
        *CHOSEN.get_or_init(|| chosen().unwrap_or(0)) == n
    }
}
"#;

/// Programs built from the woven source.
pub struct Built {
    /// Runs the explorer's cases.
    pub explorer: PathBuf,
    /// loom's scenarios, as shipped.
    pub loom: PathBuf,
    /// The package's own tests, by the name of their target.
    pub tests: BTreeMap<String, PathBuf>,
    /// The folder in which tests run.
    pub folder: PathBuf,
}

/// Weaves `mutants`, numbered from 1 in their order, into a copy of the workspace, and builds what `checkers` need of
/// it.
///
/// # Errors
/// A mutant does not weave or compile; the error names it.
pub fn build(root: &Path, mutated: Mutated, mutants: &[Mutant], checkers: &[Checker]) -> Result<Built> {
    copy(root, &mutated.tree(root), &woven(root, mutated, mutants)?)?;
    let (package, folder) = mutated.package();
    let folder = mutated.tree(root).join(folder);
    let mut built = Built { explorer: PathBuf::new(), loom: PathBuf::new(), tests: BTreeMap::new(), folder };
    for checker in checkers {
        let arguments = match checker {
            Checker::Explorer => "build --release --package shootdown-cases --example mutant".to_owned(),
            Checker::Loom => "test --no-run --release --package shootdown-under-loom --test sound".to_owned(),
            Checker::Tests => format!("test --no-run --package {package} {}", mutated.tests()),
        };
        let mut programs = compile(root, mutated, &arguments, mutants)?;
        match checker {
            Checker::Explorer => built.explorer = programs.remove("mutant").context("no program mutant")?,
            Checker::Loom => built.loom = programs.remove("sound").context("no program sound")?,
            Checker::Tests => built.tests = programs,
        }
    }
    Ok(built)
}

/// The source files with mutants in them, by path.
fn woven(root: &Path, mutated: Mutated, mutants: &[Mutant]) -> Result<BTreeMap<String, String>> {
    let source = format!("{}/src", mutated.package().1);
    let files: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file.as_str()).collect();
    let weave_file = |file: &str| {
        let path = format!("{source}/{file}");
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        let edits: Vec<_> = mutants
            .iter()
            .enumerate()
            .filter(|(_, mutant)| mutant.file == file)
            .flat_map(|(at, mutant)| mutant.edits().into_iter().map(move |edit| (at + 1, mutant, edit)))
            .collect();
        let numbered: Vec<_> = edits
            .iter()
            .map(|(number, mutant, edit)| Numbered { name: &mutant.name, number: *number, edit })
            .collect();
        let text = weave(&text, &numbered).with_context(|| path.clone())?;
        Ok((path, text))
    };
    let (woven, refused): (Vec<_>, Vec<_>) = files.into_iter().map(weave_file).partition(Result::is_ok);
    let refused: Vec<String> =
        refused.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect();
    ensure!(refused.is_empty(), "{}", refused.join("\n"));
    let mut woven: BTreeMap<String, String> = woven.into_iter().collect::<Result<_>>()?;
    if mutated == Mutated::Explorer {
        let path = format!("{source}/lib.rs");
        let text =
            std::fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        woven.insert(path, text + CHOICE);
    }
    Ok(woven)
}

/// Copies what git knows or would know, with `woven` in place of what is there. A file that is the same already is not
/// touched, so that cargo builds only what has changed.
fn copy(root: &Path, tree: &Path, woven: &BTreeMap<String, String>) -> Result<()> {
    let mut wanted = BTreeSet::new();
    for path in sources(root)? {
        let to = tree.join(&path);
        let new = match path.to_str().and_then(|path| woven.get(path)) {
            Some(text) => text.clone().into_bytes(),
            None => {
                std::fs::read(root.join(&path)).with_context(|| format!("cannot read {}", path.display()))?
            }
        };
        if std::fs::read(&to).ok().as_ref() != Some(&new) {
            let folder = to.parent().context("a file lies in a folder")?;
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            std::fs::write(&to, new).with_context(|| format!("cannot write {}", to.display()))?;
        }
        wanted.insert(to);
    }
    remove_others(tree, &wanted)
}

/// Removes files that the workspace no longer has.
fn remove_others(folder: &Path, wanted: &BTreeSet<PathBuf>) -> Result<()> {
    for entry in folder.read_dir().with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, wanted)?;
        } else if !wanted.contains(&path) && path.file_name().is_some_and(|name| name != "Cargo.lock") {
            std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

/// Compiles in the copy; the programs by the names of their targets.
fn compile(
    root: &Path,
    mutated: Mutated,
    arguments: &str,
    mutants: &[Mutant],
) -> Result<BTreeMap<String, PathBuf>> {
    let tree = mutated.tree(root);
    let mut command = process::cargo(&tree, arguments);
    command.args(["--quiet", "--message-format", "json"]);
    if mutated == Mutated::Engine {
        command.args(["--config", "build.rustflags=['--cfg=shootdown_mutants']"]);
    }
    command.arg("--target-dir").arg(mutated.built(root)).env_remove("RUSTFLAGS").stderr(Stdio::piped());
    let output = command.output().with_context(|| format!("cannot start {}", line(&command)))?;
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages: Vec<Value> = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if !output.status.success() {
        let said = messages.iter().find(|message| message["message"]["level"] == "error");
        let Some(said) = said else {
            bail!("`{}` failed: {}", line(&command), String::from_utf8_lossy(&output.stderr));
        };
        let text = said["message"]["rendered"].as_str().unwrap_or_default();
        match culprit(&tree, mutated, &said["message"]) {
            Some(number) if number <= mutants.len() => {
                bail!("mutant {} does not compile:\n{text}", mutants[number - 1].name)
            }
            _ => bail!("the woven copy does not compile:\n{text}"),
        }
    }
    let program = |message: &Value| {
        let path = message["executable"].as_str()?;
        Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(path)))
    };
    let programs: BTreeMap<_, _> = messages.iter().filter_map(program).collect();
    ensure!(!programs.is_empty(), "`{}` names no program", line(&command));
    Ok(programs)
}

/// Number of the mutant nearest before what a compiler's message points at, on its line.
fn culprit(tree: &Path, mutated: Mutated, message: &Value) -> Option<usize> {
    let span = message["spans"].as_array()?.iter().find(|span| span["is_primary"] == true)?;
    let named = span["file_name"].as_str()?;
    let path = [tree.join(named), tree.join(mutated.package().1).join(named)]
        .into_iter()
        .find(|path| path.is_file())?;
    let text = std::fs::read_to_string(path).ok()?;
    let at = usize::try_from(span["byte_end"].as_u64()?).ok()?;
    nearest(&text, at)
}

/// Number of the last mutant before `at`, or of the first one behind it on the same line.
fn nearest(text: &str, at: usize) -> Option<usize> {
    let number = Regex::new(r"fault::mutant\((\d+)\)").expect("a constant pattern");
    let start = text.get(..at)?.rfind('\n').map_or(0, |found| found + 1);
    let end = text.get(at..)?.find('\n').map_or(text.len(), |found| at + found);
    let last = |text: &str| number.captures_iter(text).last().map(|found| found[1].to_owned());
    let first = |text: &str| number.captures(text).map(|found| found[1].to_owned());
    last(&text[start..at]).or_else(|| first(&text[at..end])).or_else(|| last(&text[..at]))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{nearest, woven};
    use crate::mutants::set::{self, Mutated};

    #[test]
    fn the_committed_sets_weave_into_the_sources() {
        let root = crate::root().expect("the workspace's folder");
        for (mutated, least) in [(Mutated::Engine, 150), (Mutated::Explorer, 20)] {
            let mutants = set::read(&root, mutated).expect("the set");
            assert!(mutants.len() >= least, "{} mutants", mutants.len());
            if let Err(error) = woven(&root, mutated, &mutants) {
                panic!("{error:#}");
            }
        }
    }

    #[test]
    fn the_nearest_mutant_before_an_error_is_named() {
        let text = "(if crate::fault::mutant(3) { a } else { b }) + (if crate::fault::mutant(12) { ";
        assert_eq!(nearest(text, text.len()), Some(12));
        assert_eq!(nearest(text, 4), Some(3));
        assert_eq!(nearest(&format!("{text}\nfn f() {{ "), text.len() + 8), Some(12));
        assert_eq!(nearest("fn f() { ", 3), None);
    }
}
