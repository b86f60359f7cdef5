//! A ticket lock that both main code and an interrupt handler take. If the interrupt comes while main code of the same
//! CPU holds the lock, the handler waits for ever; with interrupts off around the critical section it cannot come.

mod drawing;

use shootdown_explore::sync::{Word, irq_restore, irq_save, wait_until};
use shootdown_explore::{NoDevice, Options, Registry, Report, Scenario, explore};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

struct Counter {
    next: Word,
    serving: Word,
    value: Word,
}

impl Counter {
    fn increment(&self) {
        let ticket = self.next.fetch_add(1, AcqRel);
        wait_until(|| self.serving.load(Acquire) == ticket);
        let value = self.value.load(Relaxed);
        self.value.store(value + 1, Relaxed);
        self.serving.store(ticket + 1, Release);
    }
}

struct Locked {
    counter: Counter,
    interrupts_off: bool,
}

impl Scenario for Locked {
    type Device = NoDevice;
    fn cpus(&self) -> usize {
        2
    }
    fn main(&self, _: usize) {
        if self.interrupts_off {
            let on = irq_save();
            self.counter.increment();
            irq_restore(on);
        } else {
            self.counter.increment();
        }
    }
    fn interrupt(&self, _: usize, _: u8) {
        self.counter.increment();
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        u32::from(cpu == 0)
    }
    fn device(&self) -> &NoDevice {
        &NoDevice
    }
    fn register(&self, registry: &mut Registry) {
        registry.object("counter", &self.counter);
    }
}

fn check(interrupts_off: bool) -> Report {
    let counter = Counter {
        next: Word::new("next", 0),
        serving: Word::new("serving", 0),
        value: Word::new("value", 0),
    };
    explore(&Locked { counter, interrupts_off }, &Options::default())
}

fn main() {
    drawing::show("interrupts on while the lock is held", 2, &check(false));
    drawing::show("interrupts off", 2, &check(true));
}

#[cfg(test)]
mod tests {
    use shootdown_explore::Verdict;

    #[test]
    fn a_lock_shared_with_a_handler_deadlocks_unless_interrupts_are_off() {
        let broken = super::check(false);
        assert!(matches!(broken.verdict, Verdict::Deadlock(_)), "{:?}", broken.verdict);
        let steps = broken.trace.expect("a deadlock has a trace").steps;
        assert!(steps.iter().any(|step| step.text == "takes interrupt 0"));
        assert_eq!(super::check(true).verdict, Verdict::Holds);
    }
}
