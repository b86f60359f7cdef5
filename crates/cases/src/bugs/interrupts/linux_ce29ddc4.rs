//! A call to "many" CPUs leaves out the one that makes it; its own copy of a state stays stale.

use crate::bugs::Bug;
use crate::protocols::{CROSS_CALL, CrossCall};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-ce29ddc4-membarrier-self",
    id: "F4",
    source: "ce29ddc47b91",
    year: 2021,
    title: "sched/membarrier: fix missing local execution of ipi_sync_rq_state()",
    rules: &[1],
    about: "A thread registers for membarrier; the function that updates each CPU's copy of that state is run on \
            all CPUs but its own, which later barriers then skip.",
    ends: "neither side saw what the other had written",
    engine: "seed",
    argued: &[(
        "linux_ce29ddc4.rs: fence(SeqCst)",
        "the call and its answer order as much here; membarrier has them for CPUs that it does not have to call, and to come after what user code did",
    )],
    ..Bug::delayed_store(Memory::Tso, Register::model)
};

const FENCE: u64 = 1;
const SYNC: u64 = 2;
/// CPUs that run a thread of the process that registers.
const RUNNING: u64 = 0b01;

/// Words of the program: each side writes its own and reads the other's.
#[derive(Debug)]
struct UserProgram {
    x: Word,
    y: Word,
    registered: Word,
    read: [Word; 2],
    done: Word,
}

/// CPU 0 runs one of two threads of a process, which registers for global barriers and then relies on them: it leaves
/// the fence of its fast side to the other. The second thread sleeps. CPU 1 runs another process, which takes the slow
/// side.
#[derive(Debug)]
pub(crate) struct Register {
    variant: Variant,
    calls: CrossCall,
    /// Per CPU: whether what runs there has registered.
    state: [Word; 2],
    program: UserProgram,
}

impl Register {
    pub(crate) fn model(variant: Variant) -> Model {
        Machine::builder(2).runs(|_| Self {
            variant,
            calls: CrossCall::new(2),
            state: [Word::new("rq.state0", 0), Word::new("rq.state1", 0)],
            program: UserProgram {
                x: Word::new("program.x", 0),
                y: Word::new("program.y", 0),
                registered: Word::new("program.registered", 0),
                read: [Word::new("program.read0", 2), Word::new("program.read1", 2)],
                done: Word::new("program.done", 0),
            },
        })
    }

    /// Registers the process of CPU 0. With one user the kernel would set its own copy here; with two it has all CPUs
    /// set theirs that run the process.
    fn register_process(&self) {
        sync::note("register");
        self.calls.call(0, RUNNING, SYNC);
        if self.variant == Variant::Fixed {
            self.sync_state(0);
        }
        self.program.registered.swap(1, AcqRel);
    }

    fn sync_state(&self, cpu: usize) {
        self.state[cpu].store(1, Relaxed);
        sync::fence(SeqCst);
    }

    fn fast_side(&self) {
        sync::note("fast side: no fence");
        self.program.x.store(1, Relaxed);
        self.finish(0, self.program.y.load(Relaxed));
    }

    fn slow_side(&self) {
        sync::wait_until(|| self.program.registered.load(Acquire) != 0);
        sync::note("slow side: membarrier");
        self.program.y.store(1, Relaxed);
        sync::fence(SeqCst);
        if self.state[0].load(Relaxed) != 0 {
            self.calls.call(1, 0b01, FENCE);
        }
        sync::fence(SeqCst);
        self.finish(1, self.program.x.load(Relaxed));
    }

    fn finish(&self, side: usize, read: u64) {
        let UserProgram { read: both, done, .. } = &self.program;
        both[side].swap(read, AcqRel);
        if done.fetch_add(1, AcqRel) == 1 {
            let [fast, slow] = [0, 1].map(|side| both[side].load(Acquire));
            sync::demand(fast != 0 || slow != 0, "neither side saw what the other had written");
        }
    }
}

impl Program for Register {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            self.register_process();
            self.fast_side();
        } else {
            self.slow_side();
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!(line, CROSS_CALL, "there is no other line");
        self.calls.serve(cpu, |what| if what == SYNC { self.sync_state(cpu) } else { sync::fence(SeqCst) });
    }
}
