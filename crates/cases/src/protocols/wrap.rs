//! Context numbers run out: a new version begins, and numbers are given out afresh while another CPU still runs with
//! one of the old version. The cases share this code; kernels differ in what they do about the other CPU.
//!
//! CPU 0 and CPU 1 are threads of one core and share its TLB. CPU 1 runs space A with number 1. CPU 0 switches to space
//! B, which has no number, and all are taken.

use super::{Lock, MAIL, Mailbox};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program};

/// What a new version means for CPUs that run with a number of the old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Others {
    /// They are not told.
    GoOn,
    /// They are told to take a new number; nobody waits until they have.
    AreTold,
    /// They are told, and waited for.
    AreWaitedFor,
    /// They keep their number, which is taken in the new version from the start.
    KeepTheirs,
}

const A: usize = 0;
const B: usize = 1;
/// A context is a version and a number, which is the tag.
const NUMBERS: u64 = 4;
const ALL_TAKEN: u64 = 0b110;

/// The allocator of numbers.
#[derive(Debug)]
struct Numbers {
    lock: Lock,
    version: Word,
    taken: Word,
    contexts: [Word; 2],
}

#[derive(Debug)]
pub(crate) struct Wrap {
    others: Others,
    numbers: Numbers,
    mail: Mailbox,
}

impl Wrap {
    pub(crate) fn model(others: Others) -> Model {
        let machine = Machine::builder(2)
            .share_tlb(0b11)
            .spaces(2, 1)
            .tags(3)
            .own_page(A, 0, 1)
            .own_page(B, 0, 2)
            .start(1, A, 1, true);
        let numbers = Numbers {
            lock: Lock::new("contexts.held"),
            version: Word::new("contexts.version", 1),
            taken: Word::new("contexts.taken", ALL_TAKEN),
            contexts: [Word::new("contexts.A", NUMBERS + 1), Word::new("contexts.B", 0)],
        };
        machine.runs(|_| Self { others, numbers, mail: Mailbox::new(2) })
    }

    fn switch_to(&self, cpu: usize, space: usize) {
        let tag = self.context_of(cpu, space);
        hw::install(Some(space), tag, Install::Keep);
        // The first use of a number on this CPU.
        hw::flush_tag(tag);
    }

    /// Returns the number of `space`, after it has been given a new one if it had none of this version.
    fn context_of(&self, cpu: usize, space: usize) -> u8 {
        let Numbers { lock, version, contexts, .. } = &self.numbers;
        lock.lock();
        let mut wrapped = false;
        if contexts[space].load(Relaxed) / NUMBERS != version.load(Relaxed) {
            wrapped = self.allocate(space);
        }
        let context = contexts[space].load(Relaxed);
        lock.unlock();
        if wrapped && matches!(self.others, Others::AreTold | Others::AreWaitedFor) {
            self.mail.post(cpu, 1 - cpu, 1);
        }
        if wrapped && self.others == Others::AreWaitedFor {
            self.mail.wait(cpu, 1 - cpu);
        }
        (context % NUMBERS) as u8
    }

    fn allocate(&self, space: usize) -> bool {
        let Numbers { version, taken, contexts, .. } = &self.numbers;
        let wrapped = taken.load(Relaxed) == ALL_TAKEN;
        if wrapped {
            let new = version.load(Relaxed) + 1;
            version.store(new, Relaxed);
            taken.store(0, Relaxed);
            if self.others == Others::KeepTheirs {
                let number = contexts[A].load(Relaxed) % NUMBERS;
                contexts[A].store(new * NUMBERS + number, Relaxed);
                taken.store(1 << number, Relaxed);
            }
        }
        let free = if taken.load(Relaxed) & 0b010 == 0 { 1 } else { 2 };
        taken.fetch_or(1 << free, Relaxed);
        contexts[space].store(version.load(Acquire) * NUMBERS + free, Release);
        wrapped
    }
}

impl Program for Wrap {
    fn main(&self, cpu: usize) {
        if cpu == 0 {
            sync::note("switch to B");
            self.switch_to(cpu, B);
            hw::user(true);
            hw::touch(0);
        } else {
            hw::touch(0);
        }
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (1, MAIL), "only CPU 0 tells");
        self.mail.serve(cpu, |_| self.switch_to(cpu, A));
    }
}
