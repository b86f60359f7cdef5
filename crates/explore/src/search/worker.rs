//! One worker: owns the states whose hash falls to it, expands them level by level, and posts successors that
//! belong to others.

use crate::machine::device::Device;
use crate::machine::hash;
use crate::machine::moves::{Action, Move};
use crate::machine::node::{DONE, NONE};
use crate::machine::op::Op;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble, lock};
use crate::search::coder::Coder;
use crate::search::hub::{Found, Hub, Kind};
use crate::search::reached::{self, Ending, Reached};
use crate::search::set::States;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::Relaxed;

/// States expanded between two looks at the clock and the limits.
const PATIENCE: u32 = 512;
/// Numbers in a bundle of mail.
const BATCH: usize = 1 << 13;
/// Finds kept at most.
pub(crate) const FINDS: usize = 1 << 11;

/// What one worker leaves behind.
pub(crate) struct Leavings<D: Device> {
    pub(crate) finds: BTreeMap<(u32, u64), Work<D>>,
    pub(crate) states: States,
    pub(crate) edges: Vec<(u32, u32)>,
    pub(crate) ends: Vec<u32>,
    pub(crate) reached: Reached,
    pub(crate) started: u64,
}

pub(crate) struct Worker<'a, 's, S: Scenario> {
    hub: &'a Hub<'a, 's, S>,
    me: usize,
    pub(crate) machine: Machine<'a, 's, S>,
    coder: Coder<'a, S::Device>,
    pub(crate) states: States,
    /// Which state leads to which, if livelocks are looked for.
    pub(crate) edges: Vec<(u32, u32)>,
    /// States in which all CPUs have finished.
    pub(crate) ends: Vec<u32>,
    pub(crate) reached: Reached,
    /// States in which code did something new, for learning, by their depth and what they are.
    finds: BTreeMap<(u32, u64), Work<S::Device>>,
    /// Moves that come to the end of what code is known to do, and what to run.
    put_off: Vec<(u32, Move)>,
    questions: Vec<(u32, u16)>,
    /// Questions of all workers that have been answered.
    answered: usize,
    base: Work<S::Device>,
    work: Work<S::Device>,
    base_key: Vec<u32>,
    key: Vec<u32>,
    outboxes: Vec<Vec<u32>>,
    transitions: u64,
}

impl<'a, 's, S: Scenario> Worker<'a, 's, S> {
    pub(crate) fn new(
        hub: &'a Hub<'a, 's, S>,
        me: usize,
        mut machine: Machine<'a, 's, S>,
        start: &Work<S::Device>,
    ) -> Self {
        let width = hub.layout.cpus + 1;
        // The first round, of one worker, runs code as it goes.
        machine.asks = hub.plan.round > 1;
        Self {
            hub,
            me,
            coder: Coder::new(&hub.authority, &hub.layout, hub.groups.clone()),
            machine,
            states: States::new(width),
            edges: Vec::new(),
            ends: Vec::new(),
            reached: Reached::default(),
            finds: BTreeMap::new(),
            put_off: Vec::new(),
            questions: Vec::new(),
            answered: 0,
            base: start.clone(),
            work: start.clone(),
            base_key: vec![0; width],
            key: vec![0; width],
            outboxes: vec![Vec::new(); hub.workers],
            transitions: 0,
        }
    }

    /// Explores from `start` until no worker has anything left.
    pub(crate) fn explore(&mut self, start: &mut Work<S::Device>) {
        let mut key = vec![0; self.key.len()];
        self.coder.encode(start, None, &mut key);
        let hash = hash::of_ids(&key);
        if self.hub.owner(hash) == self.me {
            self.states.insert(&key, hash, NONE);
        }
        let mut low = 0;
        loop {
            let high = self.states.len();
            self.guarded(|worker| worker.level(low, high));
            self.exchange();
            low = high;
            self.publish(self.states.len() - low);
            if self.hub.level_ended(self.me) {
                return;
            }
        }
    }

    /// Does `work`; a panic (of the device, say) must not leave the other workers waiting.
    fn guarded(&mut self, work: impl FnOnce(&mut Self)) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(self))) {
            self.hub.crash(panic);
        }
    }

    /// Expands the states of one level.
    fn level(&mut self, low: u32, high: u32) {
        for index in low..high {
            if index % PATIENCE == 0 {
                self.collect();
                self.publish(high - index);
                if self.hub.halted() {
                    break;
                }
            }
            self.expand(index);
            if self.hub.restart.load(Relaxed) {
                break;
            }
        }
    }

    /// Ends the worker's part of the round.
    pub(crate) fn finish(self) -> Leavings<S::Device> {
        let mut reached = self.reached;
        let world = lock(self.machine.world);
        for (index, bits) in self.machine.passed.iter().enumerate() {
            let nodes = (0..64).filter(|bit| bits >> bit & 1 != 0).map(|bit| index * 64 + bit);
            reached.locals.extend(nodes.map(|node| world.stories[node].hash));
        }
        drop(world);
        Leavings {
            states: self.states,
            edges: self.edges,
            ends: self.ends,
            reached,
            finds: self.finds,
            started: self.machine.executor.started,
        }
    }

    /// Number of a state among all workers'.
    fn global(&self, index: u32) -> u32 {
        index * self.hub.workers as u32 + self.me as u32
    }

    /// Unfolds a state to make moves from.
    fn unfold(&mut self, index: u32) {
        self.base_key.copy_from_slice(self.states.key(index));
        self.coder.decode(&self.base_key, &mut self.base);
        self.machine.prepare(&self.base);
    }

    fn expand(&mut self, index: u32) {
        self.unfold(index);
        let from = self.global(index);
        let mut any = false;
        for cpu in 0..self.hub.layout.cpus {
            let layout = &self.machine.layout;
            let entries = self.base.buffered(layout, cpu);
            match self.machine.nodes[self.base.node(layout, cpu) as usize].op {
                Op::Choose(n) => {
                    for pick in 0..n {
                        any |= self.attempt(from, Move { cpu, action: Action::Choose(pick) });
                    }
                }
                Op::WaitFalse => {}
                _ => {
                    any |= self.attempt(from, Move { cpu, action: Action::Run });
                    for newer in 1..=self.machine.passable(&self.base, cpu) {
                        any |= self.attempt(from, Move { cpu, action: Action::Older(newer) });
                    }
                }
            }
            let mut lines = self.machine.deliverable(&self.base, cpu);
            while lines != 0 {
                let line = lines.trailing_zeros() as u8;
                lines &= lines - 1;
                any |= self.attempt(from, Move { cpu, action: Action::Interrupt(line) });
            }
            for entry in 0..entries {
                if self.machine.drainable(&self.base, cpu, entry) {
                    any |= self.attempt(from, Move { cpu, action: Action::Drain(entry as u8) });
                }
            }
        }
        // Where a turn too many was refused, something does move.
        let cut = core::mem::take(&mut self.machine.cut);
        if !any && !cut {
            self.end(from);
        }
    }

    fn attempt(&mut self, from: u32, mov: Move) -> bool {
        self.work.copy_from(&self.base);
        match self.machine.successor(&mut self.work, mov) {
            Ok(false) => return false,
            Ok(true) => {}
            Err(trouble) => {
                let kind = match *trouble {
                    Trouble::Violation(violation) => Kind::Violation(violation),
                    Trouble::Stop(text) => Kind::Stop(text),
                    Trouble::Restart => {
                        self.hub.restart.store(true, Relaxed);
                        return true;
                    }
                    Trouble::Unknown(node, answer) => {
                        self.put_off.push((from / self.hub.workers as u32, mov));
                        self.questions.push((node, answer));
                        return true;
                    }
                };
                self.hub.report(Found { kind, state: from, last: Some(mov) });
                return true;
            }
        }
        self.transitions += 1;
        if core::mem::take(&mut self.machine.grew) {
            self.keep_find();
        }
        self.coder.encode(&mut self.work, Some((&self.base_key, &self.base)), &mut self.key);
        let hash = hash::of_ids(&self.key);
        let owner = self.hub.owner(hash);
        if owner == self.me {
            let (index, _) = self.states.insert(&self.key, hash, from);
            self.link(from, index);
        } else {
            let outbox = &mut self.outboxes[owner];
            outbox.extend_from_slice(&self.key);
            outbox.push(from);
            if outbox.len() >= BATCH {
                self.post(owner);
            }
        }
        true
    }

    /// Checks a state in which nothing moves.
    fn end(&mut self, from: u32) {
        let cpus = self.hub.layout.cpus;
        let layout = &self.machine.layout;
        let stuck = (0..cpus).any(|cpu| self.base.node(layout, cpu) != DONE);
        // A handler that is stuck keeps the code that it interrupted from steps that others cannot tell; reductions
        // may have run them first. The verdict is the same, memory need not be.
        if self.machine.collect {
            let ending = Ending::of(&self.machine, &self.base, stuck);
            if !ending.in_handler {
                self.reached.finals.insert(reached::final_hash(&self.machine, &self.base));
            }
            self.reached.ends.insert(ending);
        }
        if stuck {
            let text = crate::machine::words::stuck(&self.machine, &self.base);
            self.hub.report(Found { kind: Kind::Deadlock(text), state: from, last: None });
            return;
        }
        if self.hub.livelock {
            self.ends.push(from);
        }
        self.work.copy_from(&self.base);
        let device = self.hub.scenario.device();
        if let Err(violation) = device.finish(&mut self.machine.device_view(&mut self.work)) {
            self.hub.report(Found { kind: Kind::Violation(violation), state: from, last: None });
        }
    }

    fn link(&mut self, from: u32, index: u32) {
        if self.hub.livelock {
            self.edges.push((from, self.global(index)));
        }
    }

    /// Hands over what belongs to others, and takes in what others have found for this worker, once the code is known
    /// that this level came to the end of.
    fn exchange(&mut self) {
        self.hand_over();
        while self.hub.asked() > self.answered {
            self.answered = self.hub.asked();
            if self.me == 0 {
                self.guarded(|worker| worker.hub.answer(&mut worker.machine));
            }
            self.hub.barrier.wait();
            self.machine.sync();
            self.guarded(Self::go_on);
            self.hand_over();
        }
        // The letters name values that others may have met in this level.
        self.machine.sync();
        self.collect();
    }

    fn hand_over(&mut self) {
        (0..self.hub.workers).for_each(|to| self.post(to));
        self.hub.ask(&mut self.questions);
        self.hub.barrier.wait();
    }

    /// Makes the moves that were put off.
    fn go_on(&mut self) {
        for (index, mov) in core::mem::take(&mut self.put_off) {
            if self.hub.halted() {
                return;
            }
            self.unfold(index);
            self.machine.grew = true;
            self.attempt(self.global(index), mov);
        }
        (self.machine.grew, self.machine.cut) = (false, false);
    }

    /// Keeps the state that was just made for learning. The same ones are kept by any number of workers: which of
    /// several states that differ by interchangeable CPUs is found depends on who was first, so of those that only the
    /// first round's are.
    fn keep_find(&mut self) {
        if self.hub.plan.round > 1 && !self.hub.groups.is_empty() {
            return;
        }
        let key = (self.hub.depth.load(Relaxed), reached::state_hash(&self.machine, &self.work));
        self.finds.insert(key, self.work.clone());
        if self.finds.len() > FINDS {
            self.finds.pop_last();
        }
    }

    fn post(&mut self, to: usize) {
        if !self.outboxes[to].is_empty() {
            let letters = core::mem::take(&mut self.outboxes[to]);
            lock(&self.hub.mail[to]).push(letters);
        }
    }

    /// States that arrive in the middle of a level belong to the next one like all others.
    fn collect(&mut self) {
        let width = self.key.len();
        let mail = core::mem::take(&mut *lock(&self.hub.mail[self.me]));
        for letters in mail {
            for letter in letters.chunks_exact(width + 1) {
                let (key, from) = letter.split_at(width);
                let (index, _) = self.states.insert(key, hash::of_ids(key), from[0]);
                self.link(from[0], index);
            }
        }
    }

    /// Tells the others how far this worker is.
    fn publish(&mut self, waiting: u32) {
        let board = &self.hub.boards[self.me];
        board.states.store(self.states.len().into(), Relaxed);
        board.waiting.store(waiting.into(), Relaxed);
        board.transitions.store(self.transitions, Relaxed);
        let mail: usize = self.outboxes.iter().map(|outbox| outbox.capacity() * 4).sum();
        let bytes = self.states.bytes()
            + self.coder.bytes()
            + self.machine.bytes()
            + mail
            + self.edges.capacity() * 8;
        board.bytes.store(bytes as u64, Relaxed);
        if self.me == 0 {
            self.hub.watch();
        }
    }
}
