//! Puts small mistakes into the engine, one at a time, and asks who notices: the explorer, loom, the engine's own
//! tests. And puts them into the explorer, and asks its tests.
//!
//! The sets are data (`xtask/mutants`), woven into a copy of the workspace: one build has them all, and a number
//! chooses one.

mod checkers;
mod set;
mod table;
mod tree;
mod weave;

use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::bad_input::BadInput;
use checkers::{Found, Outcome};
use set::Mutant;
pub use set::{Checker, Mutated};
use tree::Built;

/// Mutants that are tried at once.
const WORKERS: usize = 2;
/// Most that may be argued, of a hundred.
const MOST_ARGUED: usize = 15;

/// What to run.
#[derive(Default)]
pub struct Wanted<'a> {
    /// What the mistakes are put into.
    pub of: Mutated,
    /// Names of mutants, or source files; none: all.
    pub names: &'a [String],
    /// Only the catcher that is recorded for each.
    pub quick: bool,
    /// Only their names.
    pub list: bool,
    /// Leave out cases that take more seconds than this without a mutant.
    pub at_most: Option<u64>,
    /// Only this checker.
    pub checker: Option<Checker>,
    /// Write down who catches each.
    pub record: bool,
}

impl Wanted<'_> {
    /// The catchers that are recorded for the mistakes in `of`.
    pub fn quick(of: Mutated) -> Self {
        Self { of, quick: true, ..Self::default() }
    }
}

/// What became of one mutant.
#[derive(Debug)]
enum Fate {
    Caught(Found),
    Argued,
    /// The checkers lack what would catch it.
    Open,
    /// Nobody noticed; cases that came to no end.
    Survived(Vec<String>),
}

/// Runs what is wanted, prints a table, and returns in a sentence what came out.
///
/// # Errors
/// A mutant does not exist, weave or compile, or is neither caught nor argued.
pub fn run(root: &Path, wanted: &Wanted<'_>) -> Result<String> {
    let all = set::read(root, wanted.of)?;
    let picked = pick(&all, wanted.names)?;
    if wanted.list {
        picked.iter().for_each(|&at| println!("{}", all[at].name));
        return Ok(format!("{} mutants", picked.len()));
    }
    let checkers = checkers(&all, &picked, wanted);
    let built = tree::build(root, wanted.of, &all, &checkers)?;
    let plan = control(&built, &all, &picked, &checkers, wanted)?;
    let fates = try_all(&built, &all, &picked, &plan, wanted.quick)?;
    let rows: Vec<(&Mutant, Fate)> = picked.iter().map(|&at| &all[at]).zip(fates).collect();
    table::print(&rows);
    if wanted.record {
        table::record(root, wanted.of, &rows)?;
    }
    verdict(&rows)
}

/// The checkers that are needed.
fn checkers(all: &[Mutant], picked: &[usize], wanted: &Wanted<'_>) -> Vec<Checker> {
    let catches = |checker: &Checker| {
        picked.iter().any(|&at| all[at].caught.as_ref().is_some_and(|catcher| catcher.checker == *checker))
    };
    let needed = |checker: &Checker| {
        wanted.checker.is_none_or(|only| only == *checker) && (!wanted.quick || catches(checker))
    };
    wanted.of.checkers().iter().copied().filter(needed).collect()
}

/// Places of the mutants that are named, or that are of a file that is.
fn pick(all: &[Mutant], names: &[String]) -> Result<Vec<usize>> {
    for name in names {
        let known = all.iter().any(|mutant| mutant.name == *name || mutant.file == *name);
        if !known {
            return Err(BadInput {
                what: format!("there is no mutant {name:?}, and no source file of that name has any"),
                remedy:
                    "`cargo xtask mutants --list` names all mutants; `--of explorer` those of the explorer"
                        .to_owned(),
            }
            .into());
        }
    }
    let chosen = |mutant: &Mutant| {
        names.is_empty() || names.iter().any(|name| mutant.name == *name || mutant.file == *name)
    };
    Ok((0..all.len()).filter(|&at| chosen(&all[at])).collect())
}

/// Runs all cases that will be needed without a mutant, which must pass; returns them, cheapest first, for each
/// checker.
fn control(
    built: &Built,
    all: &[Mutant],
    picked: &[usize],
    checkers: &[Checker],
    wanted: &Wanted<'_>,
) -> Result<Vec<(Checker, Vec<String>)>> {
    let recorded = |checker| -> BTreeSet<&str> {
        let catchers = picked.iter().filter_map(|&at| all[at].caught.as_ref());
        catchers.filter(|catcher| catcher.checker == checker).map(|catcher| catcher.case.as_str()).collect()
    };
    let mut plan: Vec<(Checker, Vec<String>)> = Vec::new();
    for &checker in checkers {
        let mut cases = checkers::cases(built, checker)?;
        let needed = recorded(checker);
        if wanted.quick {
            let missing: Vec<_> =
                needed.iter().filter(|case| !cases.iter().any(|have| have == **case)).collect();
            ensure!(missing.is_empty(), "recorded as catchers, and no longer there: {missing:?}");
            cases.retain(|case| needed.contains(case.as_str()));
        }
        let halves: Vec<Vec<String>> =
            (0..WORKERS).map(|part| cases.iter().skip(part).step_by(WORKERS).cloned().collect()).collect();
        let outcomes = in_parallel(
            halves.len(),
            |part| checkers::run(built, checker, 0, &halves[part]),
            "cases without a mutant",
        )?;
        let mut costs = Vec::new();
        for Outcome { found, stopped, passed } in outcomes {
            if let Some(Found { catcher, .. }) = found {
                anyhow::bail!("{catcher} fails without any mutant; mend that first");
            }
            ensure!(stopped.is_empty(), "without any mutant these come to no end: {stopped:?}");
            costs.extend(passed);
        }
        let dear = |cost: &u64| wanted.at_most.is_some_and(|seconds| *cost > seconds * 100);
        costs.retain(|(_, cost)| !dear(cost));
        match checker {
            Checker::Explorer => costs.sort_by_key(|(_, cost)| *cost),
            // As test programs run them.
            Checker::Loom | Checker::Tests => costs.sort(),
        }
        plan.push((checker, costs.into_iter().map(|(case, _)| case).collect()));
    }
    Ok(plan)
}

fn try_all(
    built: &Built,
    all: &[Mutant],
    picked: &[usize],
    plan: &[(Checker, Vec<String>)],
    quick: bool,
) -> Result<Vec<Fate>> {
    in_parallel(
        picked.len(),
        |index| {
            let at = picked[index];
            try_one(built, &all[at], at + 1, plan, quick).with_context(|| format!("mutant {}", all[at].name))
        },
        "mutants",
    )
}

/// Tries the recorded catcher, then all cases of all checkers.
fn try_one(
    built: &Built,
    mutant: &Mutant,
    number: usize,
    plan: &[(Checker, Vec<String>)],
    quick: bool,
) -> Result<Fate> {
    let mut stopped = Vec::new();
    if let Some(recorded) = &mutant.caught {
        let known = plan
            .iter()
            .any(|(checker, cases)| *checker == recorded.checker && cases.contains(&recorded.case));
        if known {
            let outcome =
                checkers::run(built, recorded.checker, number, std::slice::from_ref(&recorded.case))?;
            if let Some(found) = outcome.found {
                return Ok(Fate::Caught(found));
            }
            stopped.extend(outcome.stopped);
        }
    }
    if quick {
        return Ok(uncaught(mutant, stopped));
    }
    for (checker, cases) in plan {
        let outcome = checkers::run(built, *checker, number, cases)?;
        if let Some(found) = outcome.found {
            return Ok(Fate::Caught(found));
        }
        stopped.extend(outcome.stopped);
    }
    Ok(uncaught(mutant, stopped))
}

fn uncaught(mutant: &Mutant, stopped: Vec<String>) -> Fate {
    match mutant {
        Mutant { equivalent: Some(_), .. } => Fate::Argued,
        Mutant { open: Some(_), .. } => Fate::Open,
        _ => Fate::Survived(stopped),
    }
}

/// Calls `work` with 0 to `count - 1` on as many threads as there are workers; shows how far it is, on a terminal.
fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
    what: &str,
) -> Result<Vec<T>> {
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let results: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(Vec::new());
    let shown = std::io::stderr().is_terminal();
    let worker = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let result = work(at);
            if result.is_err() {
                // Nothing more is begun.
                next.store(count, Ordering::Relaxed);
            }
            let so_far = done.fetch_add(1, Ordering::Relaxed) + 1;
            if shown {
                eprint!("\r\x1b[K{so_far} of {count} {what}");
            }
            results.lock().unwrap_or_else(PoisonError::into_inner).push((at, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WORKERS.min(count) {
            scope.spawn(worker);
        }
    });
    if shown {
        eprint!("\r\x1b[K");
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Fails where a mutant survived or too many are argued.
fn verdict(rows: &[(&Mutant, Fate)]) -> Result<String> {
    let names = |which: &dyn Fn(&Mutant, &Fate) -> bool| -> Vec<&str> {
        rows.iter()
            .filter(|(mutant, fate)| which(mutant, fate))
            .map(|(mutant, _)| mutant.name.as_str())
            .collect()
    };
    let survived = names(&|_, fate| matches!(fate, Fate::Survived(_)));
    let argued = names(&|_, fate| matches!(fate, Fate::Argued));
    let open = names(&|_, fate| matches!(fate, Fate::Open));
    let wrongly = names(&|mutant, fate| mutant.equivalent.is_some() && matches!(fate, Fate::Caught(_)));
    ensure!(survived.is_empty(), "neither caught nor argued: {}", survived.join(", "));
    ensure!(open.is_empty(), "open, so neither caught nor argued: {}", open.join(", "));
    ensure!(wrongly.is_empty(), "argued to be equivalent, and caught: {}", wrongly.join(", "));
    let most = rows.len() * MOST_ARGUED / 100;
    // A choice of a few says nothing about the set.
    let few = rows.len() < 100;
    ensure!(
        few || argued.len() <= most,
        "{} of {} mutants are argued, at most {most}",
        argued.len(),
        rows.len()
    );
    let caught = rows.len() - argued.len();
    Ok(format!("{} mutants: {caught} caught, {} argued", rows.len(), argued.len()))
}

#[cfg(test)]
mod tests {
    use super::checkers::Found;
    use super::set::{Catcher, Checker};
    use super::{BadInput, Fate, Mutated, pick, set, verdict};

    fn all() -> Vec<set::Mutant> {
        let entry = |name: &str, last: &str| {
            format!(
                "[[mutant]]\nname = \"{name}\"\nfind = \"x\"\nreplace = \"y\"\nbreaks = \"SD-1: x\"\n{last}\n"
            )
        };
        let text = entry("a", "caught = \"loom: l\"") + &entry("b", "equivalent = \"why\"");
        set::parse(&format!("file = \"mask.rs\"\n{text}"), Mutated::Engine).expect("a sheet")
    }

    fn found() -> Fate {
        let catcher = Catcher { checker: Checker::Loom, case: "l".to_owned() };
        Fate::Caught(Found { catcher, states: None })
    }

    #[test]
    fn a_name_that_is_unknown_is_bad_input_with_the_remedy() {
        let refused = pick(&all(), &["c".to_owned()]).expect_err("no such mutant");
        let bad = refused.downcast_ref::<BadInput>().expect("bad input");
        assert!(bad.what.contains("\"c\"") && bad.remedy.contains("--list"), "{bad}");
    }

    #[test]
    fn mutants_are_picked_by_name_and_by_file() {
        let picked = |names: &[&str]| {
            pick(&all(), &names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()).expect("known")
        };
        assert_eq!((picked(&["b"]), picked(&["mask.rs"]), picked(&[])), (vec![1], vec![0, 1], vec![0, 1]));
    }

    #[test]
    fn survivors_open_ones_and_wrong_arguments_fail_by_name() {
        let all = all();
        let said_of = |fates: [Fate; 2]| {
            let said = verdict(&all.iter().zip(fates).collect::<Vec<_>>());
            said.unwrap_or_else(|error| format!("failed: {error:#}"))
        };
        assert_eq!(said_of([found(), Fate::Argued]), "2 mutants: 1 caught, 1 argued");
        assert_eq!(
            said_of([Fate::Survived(Vec::new()), Fate::Argued]),
            "failed: neither caught nor argued: a"
        );
        assert!(said_of([found(), found()]).ends_with("and caught: b"));
        let open = said_of([Fate::Open, Fate::Argued]);
        assert_eq!(open, "failed: open, so neither caught nor argued: a");
    }
}
