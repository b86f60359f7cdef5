//! A first look at the program by random walks: finds most words, and most of what each frame may still do.

use crate::machine::{Machine, Trouble, lock};
use crate::options::Options;
use crate::scenario::Scenario;
use crate::world::World;
use std::sync::Mutex;

/// Walks without news after which to stop, and the most steps of all walks and of one.
const BORED: u32 = 30;
const STEPS: u32 = 1_000_000;
const LENGTH: u32 = 2_000;

/// Walks at random, always in the same way; returns how often code was run.
pub(crate) fn walk<S: Scenario>(world: &Mutex<World<'_, S>>, options: &Options<'_>) -> u64 {
    let mut runs = 0;
    let mut walker = Walker { random: 0x2545_f491_4f6c_dd1d, steps: 0, bored: 0, content: false };
    while walker.steps < STEPS && !walker.content {
        let layout = lock(world).layout(options);
        let mut machine = Machine::new(world, layout, options);
        machine.partial_order = false;
        machine.collect = false;
        while walker.steps < STEPS && !walker.content {
            if walker.once(&mut machine) == Err(Trouble::Restart) {
                break;
            }
            walker.content = walker.bored > BORED + machine.nodes.len() as u32 / 4;
        }
        runs += machine.executor.started;
    }
    runs
}

struct Walker {
    random: u64,
    steps: u32,
    bored: u32,
    content: bool,
}

impl Walker {
    /// One walk from the start to where nothing moves.
    fn once<S: Scenario>(&mut self, machine: &mut Machine<'_, '_, S>) -> Result<(), Trouble> {
        let known = machine.nodes.len();
        let result = self.go(machine);
        self.bored = if machine.nodes.len() > known { 0 } else { self.bored + 1 };
        result.map_err(|trouble| *trouble)
    }

    fn go<S: Scenario>(&mut self, machine: &mut Machine<'_, '_, S>) -> Result<(), Box<Trouble>> {
        let mut work = machine.power_on()?;
        for _ in 0..LENGTH {
            self.steps += 1;
            let mut moves = machine.candidates(&work);
            loop {
                if moves.is_empty() {
                    return Ok(());
                }
                let pick = self.next() as usize % moves.len();
                if machine.apply(&mut work, moves.swap_remove(pick))? {
                    break;
                }
            }
        }
        Ok(())
    }

    fn next(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random >> 11
    }
}
