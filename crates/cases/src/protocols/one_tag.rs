//! Two roots that take turns under one tag. A TLB tells entries apart by tag, not by root, so the CPU that loads the
//! second root must flush what the first has left. The cases share this code; kernels differ in when they flush.
//!
//! One CPU runs space A, then space B, then B again, then A.

use core::sync::atomic::Ordering::Relaxed;
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install};
use shootdown_machine::{Machine, Model, Program};

/// When a switch flushes the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Not at all.
    Never,
    /// Before the new root is loaded.
    BeforeLoad,
    /// The load itself flushes.
    WithLoad,
    /// After the new root is loaded.
    AfterLoad,
    /// Before the new root is loaded, from a root without user pages, and only if another space was the last to run.
    WhenAnotherRanLast,
}

const TAG: u8 = 1;
const HOST: u8 = 0;
const A: usize = 0;
const B: usize = 1;

#[derive(Debug)]
pub(crate) struct OneTag {
    flush: Flush,
    /// The space that ran last on this CPU.
    last: Word,
}

impl OneTag {
    pub(crate) fn model(flush: Flush) -> Model {
        let machine = Machine::builder(1)
            .spaces(2, 1)
            .tags(2)
            .own_page(A, 0, 1)
            .own_page(B, 0, 2)
            .start(0, A, TAG, true);
        machine.runs(|_| Self { flush, last: Word::new("cpu0.last", A as u64) })
    }

    fn switch_to(&self, space: usize) {
        hw::user(false);
        match self.flush {
            Flush::Never => hw::install(Some(space), TAG, Install::Keep),
            Flush::BeforeLoad => {
                hw::flush_tag(TAG);
                hw::install(Some(space), TAG, Install::Keep);
            }
            Flush::WithLoad => hw::install(Some(space), TAG, Install::FlushTag),
            Flush::AfterLoad => {
                hw::install(Some(space), TAG, Install::Keep);
                hw::flush_tag(TAG);
            }
            Flush::WhenAnotherRanLast => {
                hw::install(None, HOST, Install::Keep);
                if self.last.swap(space as u64, Relaxed) != space as u64 {
                    hw::flush_tag(TAG);
                }
                hw::install(Some(space), TAG, Install::Keep);
            }
        }
        hw::user(true);
        hw::touch(0);
    }
}

impl Program for OneTag {
    fn main(&self, _: usize) {
        sync::note("run B");
        self.switch_to(B);
        sync::note("run B again");
        self.switch_to(B);
        sync::note("run A");
        self.switch_to(A);
    }
}
