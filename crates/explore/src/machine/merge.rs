//! Histories after which a frame goes on in the same way are one node.
//!
//! A history is what a frame was answered since it began. Without more, two of them are two nodes, though what told
//! them apart may long have been used up: states would multiply by values that no longer matter. So a history leads to
//! a node that is there already if the frame has the same *position*: entry, request, heading, open waits and loops,
//! and the same bytes on its stack ([`crate::code::image`]).
//!
//! That is sound, since positions decide what follows. Let two runs of one entry have the same position, and let both
//! be alive at this moment. Code under check is deterministic, and looks at its registers and stack, which are equal;
//! at memory that does not change; at answers; and at blocks of the heap that it has allocated and that it reaches from
//! its stack. Two live runs own different blocks, so a pointer to one of them would differ. Neither has one, and both
//! do the same from here on: given equal answers they ask the same, and their positions are equal again. That is a
//! bisimulation between the histories merged into a node, and it relates them all to its first.
//!
//! *Both alive* is made sure of once a node: when a second history arrives, the first is run again beside it. What the
//! words on that stack are, no pointers to the frame's own blocks, they are in each later run that has the same ones at
//! the same places, for it is at the same point of the code: those need no run beside them. If the two differ when both
//! are alive, the code keeps something on the heap, and no history is merged there.

use crate::code::coroutine::Event;
use crate::code::image::Fingerprint;
use crate::machine::node::{NONE, Story, hash_of};
use crate::machine::op::Op;
use crate::machine::run::{Executor, Live};
use crate::machine::scenario::Scenario;
use crate::machine::world::World;

/// Knowledge of a position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// One history leads there, to this node.
    Once(u32),
    /// All that lead there go on as this node.
    Same(u32),
    /// Histories that lead there may differ in what is on the heap.
    Apart,
}

impl<S: Scenario> World<'_, S> {
    /// The node that stands for a frame in this position, if there is one; otherwise the next new node will.
    pub(crate) fn meet(
        &mut self,
        executor: &mut Executor,
        live: &Live,
        event: &Event,
        position: Fingerprint,
    ) -> Option<u32> {
        let Event::Asked(_) = event else { return None };
        let known = match self.positions.get(&position) {
            None => Known::Once(self.nodes.len() as u32),
            Some(&Known::Once(node)) if self.same_beside(executor, live, node) => Known::Same(node),
            Some(Known::Once(_)) => Known::Apart,
            Some(&known) => known,
        };
        self.positions.insert(position, known);
        if let Known::Same(node) = known { Some(node) } else { None }
    }

    /// Whether the first history of `node` leads to the same bytes while `live`, which has led to them, is alive.
    fn same_beside(&self, executor: &mut Executor, live: &Live, node: u32) -> bool {
        let beside = executor.beside();
        let Ok(first) = self.replay(beside, node) else { return false };
        let image = |live: &Live| {
            let mut print = Fingerprint::new();
            live.add_to(&mut print).then_some(print)
        };
        let (one, other) = (image(&first), image(live));
        let same = one.is_some() && one == other;
        beside.keep(first, false);
        same
    }

    /// The position of a frame after `story`, the same in every exploration of one scenario.
    pub(crate) fn position(&self, live: &Live, event: &Event, story: &Story) -> Fingerprint {
        let mut print = Fingerprint::new();
        print.add(hash_of(&self.entry(story.root)));
        match event {
            Event::Returned => print.add(1),
            Event::Panicked(text) | Event::Demanded(text) => print.add(hash_of(text)),
            Event::Asked(request) => {
                print.add(hash_of(request));
                live.add_to(&mut print);
            }
        }
        print.add(hash_of(&live.marks.note));
        self.add_loops(&mut print, live, story);
        print
    }

    /// Notes whether code goes round in a circle that is not a `retry`: a loop whose frame comes back to a position
    /// that it was in.
    pub(crate) fn note_circles(&mut self) {
        let backwards = |(&(parent, _), &kid): (&(u32, u16), &u32)| kid <= parent;
        if self.loops || !self.kids.iter().any(backwards) {
            return;
        }
        let mut edges: Vec<(u32, u32)> = self.kids.iter().map(|(&(parent, _), &kid)| (parent, kid)).collect();
        edges.sort_unstable();
        let mut before = vec![0_u32; self.nodes.len()];
        edges.iter().for_each(|&(_, kid)| before[kid as usize] += 1);
        let mut free: Vec<u32> = (0..self.nodes.len() as u32).filter(|&n| before[n as usize] == 0).collect();
        let mut ordered = 0;
        while let Some(node) = free.pop() {
            ordered += 1;
            let first = edges.partition_point(|&(parent, _)| parent < node);
            for &(_, kid) in edges[first..].iter().take_while(|&&(parent, _)| parent == node) {
                before[kid as usize] -= 1;
                if before[kid as usize] == 0 {
                    free.push(kid);
                }
            }
        }
        self.loops = ordered < self.nodes.len();
    }

    /// Adds where open loops and waits begin, and what the wait's evaluation has read so far.
    fn add_loops(&self, print: &mut Fingerprint, live: &Live, story: &Story) {
        let marks = &live.marks;
        let first = marks.loops.iter().chain(&marks.wait).min().copied().unwrap_or(marks.position);
        let opens = |at| marks.loops.iter().filter(|&&head| head == at).count() as u64;
        let wait = marks.wait.unwrap_or(u32::MAX);
        print.add(opens(marks.position) << 1 | u64::from(wait == marks.position));
        let (mut above, mut answer) = (story.parent, story.answer);
        for at in (first..marks.position).rev() {
            let head = &self.stories[above as usize];
            if opens(at) > 0 || at == wait {
                print.add(head.hash ^ opens(at) << 1 ^ u64::from(at == wait));
            }
            if let (true, Op::Load { cell, .. }) = (at >= wait, self.nodes[above as usize].op) {
                let address = self.cells.all[usize::from(cell)].word.address as u64;
                print.add(address.rotate_left(32) ^ self.values.decode(answer));
            }
            (above, answer) = (head.parent, head.answer);
        }
        debug_assert!(first == marks.position || above != NONE || first == 0);
    }
}
