//! What the embedder lends the engine for each CPU.

use crate::counters::Counters;
use crate::fault::Site;
use crate::sync::{self, Word, const_fn};
use crate::tags::TagSlots;
use core::sync::atomic::Ordering;

/// The engine's memory of one CPU: make one per CPU, in whatever per-CPU storage there is, and hand it out by
/// [`Platform::local`](crate::Platform::local).
///
/// Two parts on lines of their own (128 bytes: adjacent-line prefetch): what this CPU shares, which is its mailbox and what
/// it publishes, so that a flush moves one line to a target and back; and what it keeps to itself.
#[derive(Debug)]
#[repr(C, align(128))]
pub struct CpuLocal {
    pub(crate) mail: Mail,
    pub(crate) published: Published,
    pub(crate) own: Own,
}

/// What other CPUs write.
#[derive(Debug)]
pub(crate) struct Mail {
    /// The doorbell; see [`Bell`].
    pub(crate) rung: Word,
    /// Address of a space that asks this CPU to leave its mask, or 0. One at a time; a second request is dropped, which
    /// costs time and nothing else.
    pub(crate) trim: Word,
}

/// What this CPU writes and others read.
#[derive(Debug)]
pub(crate) struct Published {
    /// What the hardware has loaded; see [`Loaded`].
    pub(crate) loaded: Word,
    /// Generation of the loaded space with which this CPU's TLB agrees.
    pub(crate) caught: Word,
    /// Generation of kernel memory with which this CPU's TLB agrees.
    pub(crate) kernel_caught: Word,
}

/// What this CPU's threads and interrupt handlers keep to themselves.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Own {
    /// Tag under which the loaded space runs.
    pub(crate) tag: Word,
    /// The identity that was last given to a space here. Where it ends a block the next space needs a new block.
    pub(crate) last_id: Word,
    pub(crate) slots: TagSlots,
    pub(crate) counters: Counters,
}

impl CpuLocal {
    const_fn! {
        /// Makes the memory of a CPU that is off line with nothing loaded.
        pub fn new() -> Self {
            Self {
                mail: Mail { rung: Word::new("rung", 0), trim: Word::new("trim", 0) },
                published: Published {
                    loaded: Word::new("loaded", 0),
                    caught: Word::new("caught", 0),
                    kernel_caught: Word::new("kernel_caught", 0),
                },
                own: Own {
                    tag: Word::new("tag", 0),
                    last_id: Word::new("last_id", 0),
                    slots: TagSlots::new(),
                    counters: Counters::new(),
                },
            }
        }
    }

    /// Takes the rings of this CPU, whose bell is most often what `usual` says and becomes what `next` makes of it; answers
    /// whether there were any.
    #[inline]
    pub(crate) fn take_bell(&self, usual: Bell, next: fn(Bell) -> Bell) -> bool {
        match self.exchange_bell(usual, next(usual)) {
            true => usual.is_rung(),
            false => self.take_unusual_bell(next),
        }
    }

    /// Repeats the exchange until no ring comes in between. No bound is in the code; this one is in the protocol: who rings to be
    /// answered waits for that answer, which cannot come from here, so that in one call each other CPU makes this retry once
    /// at most, and once more for each [`Pending`](crate::Pending) that it has not finished, for each space that it asks to trim,
    /// and for each one that it frees. An exchange of a part of the word would not do: the mark "kicked" depends on whether
    /// there were rings, so whoever takes them must have seen all.
    #[cold]
    #[inline(never)]
    fn take_unusual_bell(&self, next: fn(Bell) -> Bell) -> bool {
        sync::retry(|| {
            // ORDER(SD-6): relaxed; the exchange that follows has the order (`merged_rings`).
            let old = Bell(self.mail.rung.load(Ordering::Relaxed));
            self.exchange_bell(old, next(old)).then_some(old.is_rung())
        })
    }

    #[inline]
    fn exchange_bell(&self, old: Bell, next: Bell) -> bool {
        // ORDER(SD-6): the ring before what it announced is read; partner: `Shootdown::ring`. Who rings later finds what is
        // left here, and kicks if that is nothing. What an interrupt in between changes is noticed.
        self.mail.rung.compare_exchange(old.0, next.0, Site::Take.acquire(), Ordering::Relaxed).is_ok()
    }

    /// Listens no more, and rings this CPU once: rings were taken whose answer has unwound.
    #[cold]
    pub(crate) fn hang_up(&self) {
        // ORDER(SD-6): relaxed; only this CPU takes them, which has read what was asked.
        self.mail.rung.fetch_add(Bell::RUNG.0, Ordering::Relaxed);
        self.mail.rung.fetch_and(!Bell::LISTENS, Ordering::Relaxed);
    }

    /// The generation of kernel memory that this CPU has acknowledged, for a checker's judge to watch.
    #[cfg(shootdown_explore)]
    pub fn kernel_caught(&self) -> &Word {
        &self.published.kernel_caught
    }

    /// Counts of what this CPU did.
    pub fn counters(&self) -> &Counters {
        &self.own.counters
    }
}

impl Default for CpuLocal {
    fn default() -> Self {
        Self::new()
    }
}

/// Meaning of [`Mail::rung`]: the number of rings since this CPU last took them, times 4, and two marks that it sets itself.
/// Where it is 0 a ring takes an interrupt; else an answer is to come anyhow.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bell(pub(crate) u64);

impl Bell {
    /// Nobody has rung, and who does must interrupt.
    pub(crate) const QUIET: Bell = Bell(0);
    /// One ring, which has interrupted.
    pub(crate) const RUNG: Bell = Bell(4);
    /// This CPU waits and looks at its bell by itself, and nobody has rung.
    pub(crate) const LISTENING: Bell = Bell(Self::LISTENS);

    /// This CPU waits, and looks at its bell by itself.
    const LISTENS: u64 = 1;
    /// An interrupt is on its way here whose ring was answered before it came: it will answer what is rung meanwhile.
    const KICKED: u64 = 2;

    /// Whether its CPU looks at it by itself.
    #[inline]
    pub(crate) const fn listens(self) -> bool {
        self.0 & Self::LISTENS != 0
    }

    /// Whether there is something to answer.
    #[inline]
    pub(crate) const fn is_rung(self) -> bool {
        self.0 & !(Self::LISTENS | Self::KICKED) != 0
    }

    /// What it becomes when its CPU takes the rings and listens.
    #[inline]
    pub(crate) const fn listening(self) -> Bell {
        Bell(Self::LISTENS | self.silent().0)
    }

    /// What it becomes when its CPU takes the rings and no longer listens. The first ring at a quiet bell has sent an
    /// interrupt, which no handler has seen as long as the ring is there.
    #[inline]
    pub(crate) const fn silent(self) -> Bell {
        match !self.listens() && self.is_rung() {
            true => Bell(Self::KICKED),
            false => Bell(self.0 & Self::KICKED),
        }
    }

    /// What it becomes when its CPU takes the rings in the handler of an interrupt.
    #[inline]
    pub(crate) const fn handled(self) -> Bell {
        Bell(self.0 & Self::LISTENS)
    }
}

/// Bit of [`Mail::trim`]: the request is being answered and can no longer be withdrawn.
pub(crate) const TAKEN: u64 = 1;

/// Meaning of [`Published::loaded`]: one word, so that space, laziness and transition are always seen together.
///
/// 0 nothing, on a CPU that is off line; 1 between two roots; 2 nothing, on a CPU that is on line; else the address of the
/// space, plus 2 while a kernel thread runs on it (lazy).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loaded(pub(crate) u64);

/// How a CPU has a space loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// User code may run in it.
    Active,
    /// A kernel thread runs on it.
    Lazy,
}

impl Loaded {
    pub(crate) const OFF_LINE: Loaded = Loaded(0);
    /// A kernel thread runs on no space.
    pub(crate) const NOTHING: Loaded = Loaded(Self::LAZY);
    pub(crate) const SWITCHING: Loaded = Loaded(1);
    const LAZY: u64 = 2;

    #[inline]
    pub(crate) const fn active(address: u64) -> Self {
        Loaded(address)
    }

    #[inline]
    pub(crate) const fn lazy(address: u64) -> Self {
        Loaded(address | Self::LAZY)
    }

    /// Address of the space, 0 where there is none or the CPU is between two.
    #[inline]
    pub(crate) const fn address(self) -> u64 {
        self.0 & !3
    }

    /// How the space at `address` is loaded, if it is.
    #[inline]
    pub(crate) const fn how(self, address: u64) -> Option<Mode> {
        match self.0 ^ address {
            0 => Some(Mode::Active),
            Self::LAZY => Some(Mode::Lazy),
            _ => None,
        }
    }

    #[inline]
    pub(crate) const fn is_lazy(self) -> bool {
        self.0 & Self::LAZY != 0
    }

    #[inline]
    pub(crate) const fn is_active(self) -> bool {
        self.0 != 0 && self.0 & 3 == 0
    }
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_rung_where_there_are_rings_whatever_its_marks_say() {
        let marks = [Bell::QUIET, Bell::LISTENING, Bell(Bell::KICKED), Bell(Bell::LISTENS | Bell::KICKED)];
        for mark in marks {
            assert!(!mark.is_rung(), "{}", mark.0);
            assert!(Bell(mark.0 + Bell::RUNG.0).is_rung() && Bell(mark.0 + 2 * Bell::RUNG.0).is_rung());
        }
    }
}
