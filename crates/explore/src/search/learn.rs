//! A first look at the program by random walks: finds most words, and most of what each frame may still do.
//!
//! Uniform walks from the start rarely get far off the beaten track. So walks also begin where an earlier one found
//! something new, and each prefers to let one CPU go on, to a degree of its own.

use crate::machine::moves::Move;
use crate::machine::node::{NONE, Node};
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble, lock};
use crate::machine::world::World;
use crate::options::Options;
use std::sync::Mutex;

/// Walks without news after which to stop, for a small program.
const BORED: u32 = 24;
/// Steps of the first walks at most, of one walk, and of one that does not begin at the start.
pub(crate) const STEPS: u64 = 60_000;
const LENGTH: u32 = 2_000;
const DETOUR: u32 = 150;

/// Walks at random, always in the same way; returns how often code was run. `finds` are states in which an exploration
/// came upon something new, of the layout with number `edition`; `most` is how many steps this is worth.
pub(crate) fn walk<S: Scenario>(
    world: &Mutex<World<'_, S>>,
    options: &Options<'_>,
    (mut finds, edition): (Vec<Work<S::Device>>, u32),
    most: u64,
) -> u64 {
    let mut runs = 0;
    let mut walker = Walker { random: 0x2545_f491_4f6c_dd1d, most, steps: 0, bored: 0 };
    loop {
        let layout = lock(world).layout(options);
        let mut machine = Machine::new(world, layout, options);
        machine.partial_order = false;
        machine.collect = false;
        if machine.layout.edition != edition {
            finds.clear();
        }
        let current = walker.explore(&mut machine, &finds);
        runs += machine.executor.started;
        if current {
            return runs;
        }
    }
}

/// Makes every node's footprint what it and all that may follow it are known to do, and starts counting news anew.
pub(crate) fn close_footprints<S: Scenario>(world: &mut World<'_, S>) {
    for node in 0..world.nodes.len() {
        world.footprints[node] = world.access(world.nodes[node].op);
    }
    let mut edges: Vec<(u32, u32)> = world.kids.iter().map(|(&(parent, _), &kid)| (parent, kid)).collect();
    let back = |(node, all): (usize, &Node)| (all.back != NONE).then_some((node as u32, all.back));
    edges.extend(world.nodes.iter().enumerate().filter_map(back));
    // Children mostly have higher numbers than their parents: going down settles nearly all in one pass.
    edges.sort_unstable_by(|a, b| b.cmp(a));
    loop {
        let mut changed = false;
        for &(node, next) in &edges {
            let add = world.footprints[next as usize];
            let print = &mut world.footprints[node as usize];
            if !print.contains(&add) {
                print.join(&add);
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    world.news = 0;
}

struct Walker {
    random: u64,
    most: u64,
    steps: u64,
    bored: u32,
}

impl Walker {
    /// Walks until there is no news any more; `false` if a new word makes a new layout necessary.
    fn explore<S: Scenario>(&mut self, machine: &mut Machine<'_, '_, S>, known: &[Work<S::Device>]) -> bool {
        let start = match machine.power_on() {
            Ok(start) => start,
            Err(trouble) => return *trouble != Trouble::Restart,
        };
        let mut finds = vec![start];
        finds.extend_from_slice(known);
        while self.steps < self.most && self.bored < BORED + machine.nodes.len() as u32 / 2 {
            let known = machine.nodes.len();
            let from = match self.below(4) {
                0 => 0,
                // Later finds are less worn.
                _ => self.below(finds.len()).max(self.below(finds.len())).max(self.below(finds.len())),
            };
            let work = finds[from].clone();
            let length = if from == 0 { LENGTH } else { DETOUR };
            if self.go(machine, work, length, &mut finds) == Err(Trouble::Restart) {
                return false;
            }
            self.bored = if machine.nodes.len() > known { 0 } else { self.bored + 1 };
        }
        true
    }

    /// One walk, until nothing moves or it has been long enough.
    fn go<S: Scenario>(
        &mut self,
        machine: &mut Machine<'_, '_, S>,
        mut work: Work<S::Device>,
        length: u32,
        finds: &mut Vec<Work<S::Device>>,
    ) -> Result<(), Trouble> {
        // How often, of 16 times, the CPU that moved last may move again without asking the others.
        let stubborn = [0, 8, 14, 15][self.below(4)];
        let mut last = usize::MAX;
        for _ in 0..length {
            self.steps += 1;
            let known = machine.nodes.len();
            let mut moves = machine.candidates(&work);
            if self.below(16) < stubborn && moves.iter().any(|mov| mov.cpu == last) {
                moves.retain(|mov| mov.cpu == last);
            }
            match self.step(machine, &mut work, moves)? {
                Some(mov) => last = mov.cpu,
                None if last == usize::MAX => return Ok(()),
                None => last = usize::MAX,
            }
            if machine.nodes.len() > known {
                finds.push(work.clone());
            }
        }
        Ok(())
    }

    /// Makes one of `moves` that is possible.
    fn step<S: Scenario>(
        &mut self,
        machine: &mut Machine<'_, '_, S>,
        work: &mut Work<S::Device>,
        mut moves: Vec<Move>,
    ) -> Result<Option<Move>, Trouble> {
        while !moves.is_empty() {
            let mov = moves.swap_remove(self.below(moves.len()));
            if machine.apply(work, mov).map_err(|trouble| *trouble)? {
                return Ok(Some(mov));
            }
        }
        Ok(None)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % limit
    }
}
