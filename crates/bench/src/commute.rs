//! Conflict-freedom in the manner of COMMUTER (SOSP'13): operations that commute, in pairs, and whether two CPUs access
//! a line that one of them writes.
//!
//! All pairs here commute: spaces differ, or one space is used by both without either's answer depending on the other
//! (switches, flushes of different pages).

use crate::machine::{CpuCount, Op, PageTables, Pages, Source, Touched, run_watched};
use crate::policy::{PolicyKind, policy};
use serde::Serialize;

/// An operation, and what must have been done before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    SwitchTo,
    ReturnFromLazy,
    GoLazy,
    Borrow,
    Unborrow,
    UnmapPage,
    UnmapMany,
    UnmapTables,
    Protect,
    Create,
    Exit,
}

const VERBS: [(Verb, &str); 11] = [
    (Verb::SwitchTo, "switch"),
    (Verb::ReturnFromLazy, "return"),
    (Verb::GoLazy, "lazy"),
    (Verb::Borrow, "borrow"),
    (Verb::Unborrow, "unborrow"),
    (Verb::UnmapPage, "unmap-1"),
    (Verb::UnmapMany, "unmap-64"),
    (Verb::UnmapTables, "unmap-tables"),
    (Verb::Protect, "protect"),
    (Verb::Create, "create"),
    (Verb::Exit, "exit"),
];

/// How the spaces of a pair are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relation {
    /// Each CPU works on a space of its own.
    DifferentSpaces,
    /// Both work on one, and neither changes page tables.
    SameSpaceNoFlush,
    /// Both work on one, and one or both flush.
    SameSpaceFlush,
}

/// A pair of operations.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Pair {
    /// What one CPU does.
    pub first: &'static str,
    /// What the other does.
    pub second: &'static str,
    /// On which spaces.
    pub relation: Relation,
    /// Whether a third and a fourth CPU run in those spaces.
    pub bystanders: bool,
    /// Lines that two CPUs accessed and one wrote; 0: the pair is free of conflicts.
    pub shared_lines: usize,
}

/// Runs all pairs under a policy.
pub fn pairs(kind: PolicyKind) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (at, &first) in VERBS.iter().enumerate() {
        for &second in &VERBS[at..] {
            for bystanders in [false, true] {
                pairs.push(pair(kind, first, second, false, bystanders));
                let alone = |(verb, _): (Verb, _)| matches!(verb, Verb::Create | Verb::Exit);
                if !alone(first) && !alone(second) {
                    pairs.push(pair(kind, first, second, true, bystanders));
                }
            }
        }
    }
    pairs
}

/// Share of pairs with a relation that are free of conflicts, and how many there are.
pub fn free(pairs: &[Pair], relation: Relation) -> (usize, usize) {
    let of = pairs.iter().filter(|pair| pair.relation == relation);
    let free = of.clone().filter(|pair| pair.shared_lines == 0).count();
    (free, of.count())
}

fn flushes(verb: Verb) -> bool {
    matches!(verb, Verb::UnmapPage | Verb::UnmapMany | Verb::UnmapTables | Verb::Protect | Verb::Exit)
}

fn pair(
    kind: PolicyKind,
    first: (Verb, &'static str),
    second: (Verb, &'static str),
    same: bool,
    bystanders: bool,
) -> Pair {
    let spaces = [0, u32::from(!same)];
    let mut scripts = vec![Vec::new(); 4];
    // 2 and 3 are spaces that the CPUs come from; 4 and 5 are made by `create`.
    scripts[0].extend((0..4).map(Op::Create));
    scripts[0].extend([Op::Post(0); 3]);
    let verbs = [first.0, second.0];
    for cpu in 0..2 {
        if cpu == 1 {
            scripts[1].push(Op::Take(0));
        }
        prepare(&mut scripts[cpu], verbs[cpu], spaces[cpu], cpu as u32);
    }
    for cpu in 2..4 {
        scripts[cpu].push(Op::Take(0));
        if bystanders {
            scripts[cpu].push(Op::Switch(spaces[cpu - 2]));
            // No thread runs in a space that ends; a CPU may be lazy on it.
            scripts[cpu].push(if verbs[cpu - 2] == Verb::Exit {
                Op::Lazy(true)
            } else {
                Op::Compute(10_000_000)
            });
        }
    }
    // Once more than enough time for all that came before, and between the two.
    scripts[0].extend([Op::Compute(1_000_000), Op::Watch, act(verbs[0], spaces[0], 0)]);
    scripts[0].push(Op::Compute(1_000_000));
    scripts[0].push(Op::Post(1));
    scripts[1].extend([Op::Take(1), act(verbs[1], spaces[1], 1)]);
    let cpus = CpuCount::new(4).expect("a number of CPUs");
    let (outcome, touched) = run_watched(cpus, policy(kind, 4, true), Source::Scripts(scripts));
    assert_eq!(outcome.stuck, 0, "{} and {} wait for ever", first.1, second.1);
    Pair {
        first: first.1,
        second: second.1,
        relation: match (same, verbs.into_iter().any(flushes)) {
            (false, _) => Relation::DifferentSpaces,
            (true, false) => Relation::SameSpaceNoFlush,
            (true, true) => Relation::SameSpaceFlush,
        },
        bystanders,
        shared_lines: shared(touched),
    }
}

fn prepare(script: &mut Vec<Op>, verb: Verb, space: u32, cpu: u32) {
    let pages = Pages { first: u64::from(cpu) << 12, count: 64 };
    match verb {
        Verb::SwitchTo | Verb::Create => script.push(Op::Switch(2 + cpu)),
        Verb::Borrow => script.extend([Op::Switch(2 + cpu), Op::Lazy(false)]),
        Verb::ReturnFromLazy => script.extend([Op::Switch(space), Op::Lazy(false)]),
        Verb::Unborrow => script.extend([Op::Switch(2 + cpu), Op::Lazy(false), Op::Borrow(space)]),
        _ => script.extend([Op::Switch(space), Op::Touch(pages)]),
    }
}

fn act(verb: Verb, space: u32, cpu: u32) -> Op {
    let first = u64::from(cpu) << 12;
    match verb {
        Verb::SwitchTo | Verb::ReturnFromLazy => Op::Switch(space),
        Verb::GoLazy => Op::Lazy(false),
        Verb::Borrow => Op::Borrow(space),
        Verb::Unborrow => Op::Unborrow,
        Verb::UnmapPage => Op::Unmap(Pages { first, count: 1 }, PageTables::Kept),
        Verb::UnmapMany => Op::Unmap(Pages { first, count: 64 }, PageTables::Kept),
        Verb::UnmapTables => Op::Unmap(Pages { first, count: 64 }, PageTables::Freed),
        Verb::Protect => Op::Protect(Pages { first, count: 1 }),
        Verb::Create => Op::Create(4 + cpu),
        Verb::Exit => Op::Exit(space),
    }
}

/// Lines that CPUs 0 and 1 both accessed, and one of them wrote.
fn shared(mut touched: Vec<Touched>) -> usize {
    touched.retain(|access| access.cpu < 2);
    touched.sort_unstable();
    touched
        .chunk_by(|a, b| a.line == b.line)
        .filter(|line| line.iter().any(|access| access.written))
        .filter(|line| line.iter().any(|access| access.cpu != line[0].cpu))
        .count()
}

#[cfg(test)]
mod tests {
    use super::{Relation, free, pairs};
    use crate::policy::PolicyKind;

    #[test]
    fn what_is_done_to_different_spaces_shares_no_written_line() {
        let pairs = pairs(PolicyKind::Shootdown);
        for pair in pairs.iter().filter(|pair| pair.relation == Relation::DifferentSpaces) {
            assert_eq!(pair.shared_lines, 0, "{pair:?}");
        }
        let (lazy_free, lazy) = free(&pairs, Relation::SameSpaceNoFlush);
        assert!(0 < lazy_free && lazy_free < lazy, "{lazy_free} of {lazy}");
    }
}
