//! A ring that an interrupt handler fills and a thread on another CPU empties. Without release the new head may reach
//! memory before the item does: not on x86 (TSO), but where stores may pass each other (PSO).

mod drawing;

use shootdown_explore::sync::{Word, demand, wait_until};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Report, Scenario, explore};
use std::sync::atomic::Ordering::{self, Acquire, Relaxed, Release};

const SLOTS: usize = 2;

struct Ring {
    head: Word,
    tail: Word,
    slots: [Word; SLOTS],
}

struct Device {
    ring: Ring,
    publish: Ordering,
}

impl Device {
    fn produce(&self, item: u64) {
        let head = self.ring.head.load(Relaxed);
        if head - self.ring.tail.load(Acquire) < SLOTS as u64 {
            self.ring.slots[head as usize % SLOTS].store(item, Relaxed);
            self.ring.head.store(head + 1, self.publish);
        }
    }

    fn consume(&self) -> u64 {
        let tail = self.ring.tail.load(Relaxed);
        wait_until(|| self.ring.head.load(Acquire) != tail);
        let item = self.ring.slots[tail as usize % SLOTS].load(Relaxed);
        self.ring.tail.store(tail + 1, Release);
        item
    }
}

impl Scenario for Device {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        2
    }
    fn main(&self, cpu: usize) {
        if cpu == 1 {
            for _ in 0..2 {
                let item = self.consume();
                demand(item == 10 || item == 11, format!("the thread got {item} from the ring"));
            }
        }
    }
    fn interrupt(&self, _: usize, line: u8) {
        self.produce(10 + u64::from(line));
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        if cpu == 0 { 0b11 } else { 0 }
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("ring", &self.ring);
    }
}

fn check(publish: Ordering, memory: Memory) -> Report {
    let slots = [const { Word::new("slot", 0) }; SLOTS];
    let ring = Ring { head: Word::new("head", 0), tail: Word::new("tail", 0), slots };
    explore(&Device { ring, publish }, &Options { memory, ..Options::default() })
}

fn main() {
    drawing::show("relaxed head, TSO", 2, &check(Relaxed, Memory::Tso));
    drawing::show("relaxed head, PSO", 2, &check(Relaxed, Memory::Pso));
    drawing::show("released head, PSO", 2, &check(Release, Memory::Pso));
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown_explore::Verdict;

    #[test]
    fn a_ring_needs_release_where_stores_pass_each_other() {
        for memory in [Memory::Sc, Memory::Tso] {
            assert_eq!(check(Relaxed, memory).verdict, Verdict::Holds, "{memory:?}");
        }
        let broken = check(Relaxed, Memory::Pso);
        assert_eq!(broken.verdict, Verdict::Violates("the thread got 0 from the ring".into()));
        assert_eq!(check(Release, Memory::Pso).verdict, Verdict::Holds);
    }
}
