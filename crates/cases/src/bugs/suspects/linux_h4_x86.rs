//! As read: a search that finds no free number returns the one past the end, and nobody refuses it, twice.

use crate::bugs::Bug;
use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::Memory;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program, Variant};

pub(super) const BUG: Bug = Bug {
    name: "linux-h4-x86-global-asid",
    id: "H4",
    source: "read in Linux 6.19, arch/x86/mm/tlb.c",
    year: 2026,
    title: "allocate_global_asid(): what if the search finds nothing",
    arch: "x86",
    rules: &[12],
    about: "As we read it, the search for a free global number returns the one past the end while freed numbers wait for the wrap, \
            and a second process can get that same number.",
    ends: "CPU 0, in space B, can use page 0 -> frame 2 of space A (SD-12)",
    engine: "tag-reuse",
    ..Bug::race(Memory::Tso, Allocator::model)
};

/// CPU 0 runs process A, then B. Other processes, which need no CPU here, take and free numbers in between.
#[derive(Debug)]
struct Allocator {
    variant: Variant,
    numbers: Numbers,
}

/// Global numbers: 0, 1 and 2. A tag more exists in hardware. The counter of those to be had is left out: nobody asks
/// for a number while it is zero.
#[derive(Debug)]
struct Numbers {
    /// Taken, as bits; freed ones among them.
    used: Word,
    /// Freed since the search last began anew.
    freed: Word,
    /// The last one handed out.
    last: Word,
}

const END: u64 = 3;
const A: usize = 0;
const B: usize = 1;

impl Allocator {
    fn model(variant: Variant) -> Model {
        let machine = Machine::builder(1).spaces(2, 1).tags(4).own_page(A, 0, 2).own_page(B, 0, 3);
        // A process that lives long has number 2; others had 0, which is freed, and have 1.
        let numbers = Numbers {
            used: Word::new("numbers.used", 0b111),
            freed: Word::new("numbers.freed", 0b001),
            last: Word::new("numbers.last", 1),
        };
        machine.runs(|_| Self { variant, numbers })
    }

    fn allocate(&self) -> u64 {
        if self.numbers.last.load(Relaxed) >= END - 1 {
            self.reset();
        }
        let mut number = self.search();
        let searches_again = match self.variant {
            Variant::Broken => false,
            _ => number >= END,
        };
        if searches_again {
            self.reset();
            number = self.search();
        }
        if number < END {
            self.numbers.used.fetch_or(1 << number, Relaxed);
        }
        self.numbers.last.store(number, Relaxed);
        number
    }

    /// Returns the first number that is not taken, from the last one upwards; the end where there is none.
    fn search(&self) -> u64 {
        let (used, last) = (self.numbers.used.load(Relaxed), self.numbers.last.load(Relaxed));
        (last..END).find(|number| used >> number & 1 == 0).unwrap_or(END)
    }

    fn reset(&self) {
        hw::flush_user();
        let freed = self.numbers.freed.swap(0, Relaxed);
        self.numbers.used.fetch_and(!freed, Relaxed);
        self.numbers.last.store(0, Relaxed);
    }

    fn free(&self, number: u64) {
        self.numbers.freed.fetch_or(1 << number, Relaxed);
    }

    fn switch_to(&self, space: usize, number: u64) {
        hw::user(false);
        hw::install(Some(space), number as u8, Install::Keep);
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for Allocator {
    fn main(&self, _cpu: usize) {
        sync::note("process A gets a number");
        let a = self.allocate();
        self.switch_to(A, a);
        sync::note("others come and go");
        self.free(1);
        for _ in 0..2 {
            let other = self.allocate();
            self.free(other);
        }
        sync::note("process B gets a number");
        let b = self.allocate();
        self.switch_to(B, b);
    }
}
