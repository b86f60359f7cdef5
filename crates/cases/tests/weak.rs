//! Weak memory on the simulated machine: what the other models call right and is not.

use shootdown_explore::sync::{self, Word};
use shootdown_explore::{Interrupts, Memory, Options, Verdict};
use shootdown_machine::hw::{self, Install, WalkCache};
use shootdown_machine::{Machine, Model, Program, run};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const SPACE: usize = 0;
const TAG: u8 = 0;

/// Which fences a flush by mask has: CPU 0 unmaps a page, CPU 1 comes in.
#[derive(Clone, Copy, Debug)]
struct Fences {
    unmapper: bool,
    activator: bool,
    /// The mask is read and set by read-modify-writes of one-sided orderings.
    rmw: bool,
}

#[derive(Debug)]
struct Flush {
    fences: Fences,
    interrupts: Interrupts,
    machine: Machine,
    mask: Word,
    done: Word,
}

impl Flush {
    fn model(fences: Fences, interrupts: Interrupts) -> Model {
        let machine = Machine::builder(2)
            .translation(1, Some(SPACE), true)
            .map(SPACE, 0, 1)
            .start(0, SPACE, TAG, false)
            .must_free_frame(1);
        let (mask, done) = (Word::new("sb.mask", 0), Word::new("sb.done", 0));
        machine.runs(|machine| Self { fences, interrupts, machine, mask, done })
    }

    fn unmap(&self) {
        self.machine.tables.leaf(SPACE, 0).store(0, Relaxed);
        if self.fences.unmapper {
            sync::fence(SeqCst);
        }
        let seen = if self.fences.rmw { self.mask.fetch_or(0, Release) } else { self.mask.load(Acquire) };
        if seen != 0 {
            sync::raise(1, 0);
            sync::wait_until(|| self.done.load(Acquire) == 1);
        }
        hw::flush_page(TAG, 0, WalkCache::Drop);
        hw::free_frame(1);
    }

    fn activate(&self) {
        let on = sync::irq_save();
        self.mask.fetch_or(1, if self.fences.rmw { Acquire } else { Release });
        if self.fences.activator {
            sync::fence(SeqCst);
        }
        hw::install(Some(SPACE), TAG, Install::Keep);
        sync::irq_restore(on);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Flush {
    fn main(&self, cpu: usize) {
        if cpu == 0 { self.unmap() } else { self.activate() }
    }
    fn interrupt(&self, _: usize, _: u8) {
        hw::flush_page(TAG, 0, WalkCache::Drop);
        self.done.store(1, Release);
    }
    fn interrupts(&self) -> Interrupts {
        self.interrupts
    }
}

fn verdict(fences: Fences, interrupts: Interrupts, memory: Memory) -> Verdict {
    let options = Options { memory, ..Options::default() };
    run(&Flush::model(fences, interrupts), &options).verdict
}

const STALE: &str = "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)";

#[test]
fn a_read_modify_write_beside_one_fence_is_no_fence() {
    let fences = Fences { unmapper: true, activator: false, rmw: false };
    // Under the models with buffers the activator's exchange is one.
    assert_eq!(verdict(fences, Interrupts::Follow, Memory::Tso), Verdict::Holds);
    assert_eq!(verdict(fences, Interrupts::Follow, Memory::Pso), Verdict::Holds);
    let stale = Verdict::Violates(STALE.into());
    assert_eq!(verdict(fences, Interrupts::Follow, Memory::Weak), stale);
    let fences = Fences { unmapper: false, activator: true, rmw: false };
    assert_eq!(verdict(fences, Interrupts::Follow, Memory::Weak), stale);
}

#[test]
fn read_modify_writes_on_both_sides_need_no_fence() {
    // One of them reads what the other wrote, and what it released.
    let fences = Fences { unmapper: false, activator: false, rmw: true };
    for memory in [Memory::Tso, Memory::Pso, Memory::Weak] {
        assert_eq!(verdict(fences, Interrupts::Follow, memory), Verdict::Holds, "{memory:?}");
    }
}

#[test]
fn fences_on_both_sides_hold_where_interrupts_follow_stores() {
    let fences = Fences { unmapper: true, activator: true, rmw: false };
    assert_eq!(verdict(fences, Interrupts::Follow, Memory::Weak), Verdict::Holds);
    // The handler flushes, and a walk fetches again what the unmapper's store has not reached.
    let overtaken = verdict(fences, Interrupts::Overtake, Memory::Weak);
    assert_eq!(overtaken, Verdict::Violates(STALE.into()));
}
