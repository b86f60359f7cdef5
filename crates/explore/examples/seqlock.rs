//! A sequence lock: readers retry if the sequence number is odd or has changed. The writer's data stores must not pass
//! the store that makes the number odd, so a release fence stands between them; without it a reader sees torn data
//! where stores may pass each other (PSO).

mod drawing;

use shootdown_explore::sync::{Word, demand, fence, retry};
use shootdown_explore::{Memory, NoDevice, Options, Registry, Report, Scenario, explore};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

struct Time {
    sequence: Word,
    seconds: Word,
    nanoseconds: Word,
}

struct Clock {
    time: Time,
    fenced: bool,
}

impl Clock {
    fn set(&self, value: u64) {
        let sequence = self.time.sequence.load(Relaxed);
        self.time.sequence.store(sequence + 1, Relaxed);
        if self.fenced {
            fence(Release);
        }
        self.time.seconds.store(value, Relaxed);
        self.time.nanoseconds.store(value, Relaxed);
        self.time.sequence.store(sequence + 2, Release);
    }

    fn get(&self) -> (u64, u64) {
        retry(|| {
            let before = self.time.sequence.load(Acquire);
            if before % 2 == 1 {
                return None;
            }
            let time = (self.time.seconds.load(Relaxed), self.time.nanoseconds.load(Relaxed));
            fence(Acquire);
            (self.time.sequence.load(Relaxed) == before).then_some(time)
        })
    }
}

impl Scenario for Clock {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        2
    }
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.set(1);
        } else {
            let (seconds, nanoseconds) = self.get();
            demand(seconds == nanoseconds, "torn read");
        }
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("time", &self.time);
    }
}

fn check(fenced: bool, memory: Memory) -> Report {
    let time = Time {
        sequence: Word::new("sequence", 0),
        seconds: Word::new("seconds", 0),
        nanoseconds: Word::new("nanoseconds", 0),
    };
    explore(&Clock { time, fenced }, &Options { memory, ..Options::default() })
}

fn main() {
    drawing::show("no fence, TSO", 2, &check(false, Memory::Tso));
    drawing::show("no fence, PSO", 2, &check(false, Memory::Pso));
    drawing::show("fence, PSO", 2, &check(true, Memory::Pso));
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown_explore::Verdict;

    #[test]
    fn a_sequence_lock_needs_its_fence_where_stores_pass_each_other() {
        for memory in [Memory::Sc, Memory::Tso] {
            assert_eq!(check(false, memory).verdict, Verdict::Holds, "{memory:?}");
        }
        let broken = check(false, Memory::Pso);
        assert_eq!(broken.verdict, Verdict::Violates("torn read".into()));
        assert_eq!(check(true, Memory::Pso).verdict, Verdict::Holds);
    }
}
