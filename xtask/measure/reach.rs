//! What a function can come to.

use crate::program::{Kind, Program};
use std::collections::{BTreeMap, VecDeque};

/// The nodes that are reached from some, each with the node that it was reached from.
#[derive(Debug, Default)]
pub struct Reached(BTreeMap<usize, Option<usize>>);

impl Reached {
    /// Follows every reference, shortest way first, from `begin` on; past nodes for which `ends` holds it does not go.
    pub fn from(program: &Program, begin: &[usize], ends: impl Fn(usize) -> bool) -> Self {
        let mut reached: BTreeMap<_, _> = begin.iter().map(|&node| (node, None)).collect();
        let mut next: VecDeque<usize> = begin.iter().copied().collect();
        while let Some(node) = next.pop_front() {
            if ends(node) {
                continue;
            }
            for reference in &program.nodes[node].refers {
                reached.entry(reference.to).or_insert_with(|| {
                    next.push_back(reference.to);
                    Some(node)
                });
            }
        }
        Self(reached)
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.keys().copied()
    }

    /// How many of them are functions.
    pub fn functions(&self, program: &Program) -> usize {
        self.nodes().filter(|&node| program.nodes[node].kind == Kind::Code).count()
    }

    /// How many references there are between them.
    pub fn references(&self, program: &Program) -> usize {
        self.nodes().map(|node| program.nodes[node].refers.len()).sum()
    }

    /// The way to `node`, from where it began.
    pub fn way(&self, node: usize) -> Vec<usize> {
        let mut way: Vec<usize> =
            std::iter::successors(Some(node), |node| self.0.get(node).copied().flatten()).collect();
        way.reverse();
        way
    }
}
