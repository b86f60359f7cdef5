//! Holds events back until it is known which thread group a forked task is of: its own lines say so, and they come
//! later.

use super::event::Event;
use super::lines::Stamped;
use std::collections::{HashMap, VecDeque};

/// Events that wait at most.
const MOST: usize = 1 << 16;

/// Events in the order of the recording, some of which wait.
#[derive(Default)]
pub struct Forks {
    queue: VecDeque<Stamped>,
    /// How many events have left the queue.
    gone: u64,
    /// Tasks whose fork is in the queue and whose group is not known, with the place of the fork counted from the
    /// start.
    waiting: HashMap<u32, u64>,
}

impl Forks {
    /// Adds an event.
    pub fn push(&mut self, event: Stamped) {
        if let Some((tgid, at)) = event.tgid.zip(self.waiting.get(&event.pid).copied()) {
            self.waiting.remove(&event.pid);
            if let Event::Fork { child_tgid, .. } = &mut self.queue[(at - self.gone) as usize].event {
                *child_tgid = Some(tgid);
            }
        }
        if let Event::Fork { child, .. } = event.event {
            self.waiting.insert(child, self.gone + self.queue.len() as u64);
        }
        self.queue.push_back(event);
    }

    /// Takes the next event that needs not wait.
    pub fn pop(&mut self) -> Option<Stamped> {
        match self.queue.front()?.event {
            Event::Fork { child, .. } if self.waits(child) && self.queue.len() < MOST => None,
            _ => self.take(),
        }
    }

    /// Takes the next event, whatever it waits for.
    pub fn take(&mut self) -> Option<Stamped> {
        let event = self.queue.pop_front()?;
        if let Event::Fork { child, .. } = event.event {
            if self.waits(child) {
                self.waiting.remove(&child);
            }
        }
        self.gone += 1;
        Some(event)
    }

    /// Whether the fork at the front, which made `child`, waits. Another fork may have given its number away again.
    fn waits(&self, child: u32) -> bool {
        self.waiting.get(&child) == Some(&self.gone)
    }
}
