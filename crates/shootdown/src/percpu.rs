//! What the embedder lends the engine for each CPU.

use crate::counters::Counters;
use crate::fault::Site;
use crate::sync::{self, Word, const_fn};
use crate::tags::TagSlots;
use core::sync::atomic::Ordering;

/// The engine's memory of one CPU (Linux: `cpu_tlbstate`): make one per CPU, in whatever per-CPU storage there is, and
/// hand it out by [`Platform::local`](crate::Platform::local).
///
/// Two parts on lines of their own (128 bytes: adjacent-line prefetch): what this CPU shares, namely its mailbox and
/// what it publishes, so that a flush moves one line to a target and back; and what it keeps to itself.
///
/// It is 384 bytes, of which 136 are for tags that a CPU hands out itself ([`PerCpuSlots`](crate::tags::PerCpuSlots)).
/// A kernel without tags, or with tags of all CPUs ([`GlobalAsids`](crate::tags::GlobalAsids)), takes the crate without
/// its default feature `per-cpu-tags`; then it is 256 bytes:
///
/// ```toml
/// shootdown = { version = "0.1.0", default-features = false }
/// ```
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
    /// Pending IPI requests; see [`IpiState`].
    pub(crate) ipi_pending: Word,
    /// Address of a space that asks this CPU to leave its mask, or 0. One at a time; a second request is dropped, which
    /// costs only time.
    pub(crate) trim: Word,
}

/// What this CPU writes and others read.
#[derive(Debug)]
pub(crate) struct Published {
    /// What the hardware has loaded; see [`Loaded`].
    pub(crate) loaded: Word,
    /// Generation of the loaded space with which this CPU's TLB agrees.
    pub(crate) caught: Word,
    /// Generation of kernel memory with which this CPU's TLB agrees; with [`IN_USER`] if it runs user code.
    pub(crate) kernel_caught: Word,
}

/// What this CPU's threads and interrupt handlers keep to themselves.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Own {
    /// Tag under which the loaded space runs.
    pub(crate) tag: Word,
    /// The identity that this CPU last gave to a space. If it ends a block, the next space needs a new block.
    pub(crate) last_id: Word,
    pub(crate) slots: TagSlots,
    pub(crate) counters: Counters,
}

impl CpuLocal {
    const_fn! {
        /// Makes the memory of a CPU that is off line with nothing loaded.
        pub fn new() -> Self {
            Self {
                mail: Mail { ipi_pending: Word::new("ipi_pending", 0), trim: Word::new("trim", 0) },
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

    /// Reads which requests were posted to this CPU since it last took any, and leaves them.
    #[inline]
    pub(crate) fn requests(&self) -> IpiState {
        // ORDER(SD-6): the request before what it asks is read; partner: `Shootdown::post_request`.
        IpiState(self.mail.ipi_pending.load(Site::RequestSeen.acquire()))
    }

    /// Takes this CPU's IPI requests and says whether there were any. The state is most often `usual`, in which there
    /// are none; `next` computes the new one.
    #[inline]
    pub(crate) fn take_requests(&self, usual: IpiState, next: fn(IpiState) -> IpiState) -> bool {
        !self.exchange_ipi_state(usual, next(usual)) && self.take_requests_slowly(next)
    }

    /// Repeats the exchange until no request comes in between. The code has no bound, but the protocol has: a CPU that
    /// posts a request waits for the answer, which cannot come from here, so that in one call each other CPU makes this
    /// retry once at most, and once more for each [`Pending`](crate::flush::Pending) that it has not finished, for each
    /// space that it asks to trim, and for each one that it frees. An exchange of a part of the word would not do: "in
    /// flight" depends on whether there were requests, so a CPU that takes them must have seen all.
    #[cold]
    #[inline(never)]
    pub(crate) fn take_requests_slowly(&self, next: fn(IpiState) -> IpiState) -> bool {
        sync::retry(|| {
            // ORDER(SD-6): relaxed; the exchange that follows has the order (`coalesced_ipis`).
            let old = IpiState(self.mail.ipi_pending.load(Ordering::Relaxed));
            self.exchange_ipi_state(old, next(old)).then_some(old.is_requested())
        })
    }

    #[inline]
    pub(crate) fn exchange_ipi_state(&self, old: IpiState, next: IpiState) -> bool {
        // ORDER(SD-6): a wait, and a handler in the end, take the request before they read what it asks; acquire, with the
        // release in `Shootdown::post_request`. A handler that has answered needs no order here. A request posted after this
        // exchange sees the new state, and sends a new IPI if that is 0. If a request or a nested handler changed the word,
        // the exchange fails, and the caller looks again; partner: `Shootdown::post_request`.
        self.mail.ipi_pending.compare_exchange(old.0, next.0, Site::Take.acquire(), Ordering::Relaxed).is_ok()
    }

    /// Clears "polling" and posts one request to this CPU, because requests were taken whose handling has unwound.
    #[cold]
    pub(crate) fn hang_up(&self) {
        // ORDER(SD-6): relaxed; only this CPU takes them, which has read what was asked.
        self.mail.ipi_pending.fetch_add(IpiState::REQUESTED.0, Ordering::Relaxed);
        self.mail.ipi_pending.fetch_and(!IpiState::POLLING_BIT, Ordering::Relaxed);
    }

    /// The generation of kernel memory that this CPU has acknowledged, for a checker's oracle to watch.
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

// Two lines of 64 bytes for others, and two for this CPU; four with tag slots, which take more than half of them.
#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_instrumented)))]
const _: () = assert!(size_of::<CpuLocal>() == if cfg!(feature = "per-cpu-tags") { 384 } else { 256 });

/// Meaning of [`Mail::ipi_pending`]: the number of requests since this CPU last took them, times 4, plus two flags that
/// it sets itself. If the word is 0, the sender must raise an IPI; otherwise the target is already going to look.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct IpiState(pub(crate) u64);

impl IpiState {
    /// No request is pending; the next one must send an interrupt.
    pub(crate) const IDLE: IpiState = IpiState(0);
    /// One request, for which an interrupt was sent.
    pub(crate) const REQUESTED: IpiState = IpiState(4);
    /// This CPU waits and polls the word, and no request is pending.
    pub(crate) const POLLING: IpiState = IpiState(Self::POLLING_BIT);

    /// This CPU waits and polls the word.
    const POLLING_BIT: u64 = 1;
    /// An interrupt is in flight to this CPU although its request was already handled. Its handler will take requests
    /// posted meanwhile.
    const IN_FLIGHT_BIT: u64 = 2;

    /// Whether its CPU polls it.
    #[inline]
    pub(crate) const fn is_polling(self) -> bool {
        self.0 & Self::POLLING_BIT != 0
    }

    /// Whether a request is pending.
    #[inline]
    pub(crate) const fn is_requested(self) -> bool {
        self.0 & !(Self::POLLING_BIT | Self::IN_FLIGHT_BIT) != 0
    }

    /// The state after its CPU takes the requests and goes on polling.
    #[inline]
    pub(crate) const fn polling(self) -> IpiState {
        IpiState(Self::POLLING_BIT | self.not_polling().0)
    }

    /// The state after its CPU takes the requests and stops polling. The first request that found 0 has sent an
    /// interrupt; no handler has seen it as long as the request is there.
    #[inline]
    pub(crate) const fn not_polling(self) -> IpiState {
        match !self.is_polling() && self.is_requested() {
            true => IpiState(Self::IN_FLIGHT_BIT),
            false => IpiState(self.0 & Self::IN_FLIGHT_BIT),
        }
    }

    /// The state after its CPU takes the requests in the interrupt handler.
    #[inline]
    pub(crate) const fn handled(self) -> IpiState {
        IpiState(self.0 & Self::POLLING_BIT)
    }
}

/// Bit of [`Published::kernel_caught`]: this CPU runs user code, and catches up before it uses kernel memory again. No
/// generation is so large.
pub(crate) const IN_USER: u64 = 1 << 63;

/// Bit of [`Mail::trim`]: the request is being answered and can no longer be withdrawn.
pub(crate) const TAKEN: u64 = 1;

/// Meaning of [`Published::loaded`]: one word, so that space, laziness and transition are always seen together.
///
/// 0 nothing, on a CPU that is off line; 1 between two roots; 2 nothing, on a CPU that is on line; else the address of
/// the space, plus 2 while a kernel thread runs on it (lazy).
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

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom))))]
mod tests {
    use super::*;

    #[test]
    fn an_ipi_is_requested_where_requests_are_counted_whatever_the_marks_say() {
        let marks = [
            IpiState::IDLE,
            IpiState::POLLING,
            IpiState(IpiState::IN_FLIGHT_BIT),
            IpiState(IpiState::POLLING_BIT | IpiState::IN_FLIGHT_BIT),
        ];
        for mark in marks {
            assert!(!mark.is_requested(), "{}", mark.0);
            assert!(
                IpiState(mark.0 + IpiState::REQUESTED.0).is_requested()
                    && IpiState(mark.0 + 2 * IpiState::REQUESTED.0).is_requested()
            );
        }
    }
}
