//! Calls that the engine refuses in release builds too: to go on would free memory while a CPU can still reach it.

use crate::engine::Shootdown;
use crate::percpu::Loaded;
use crate::platform::Platform;
use crate::space::{AddressSpace, RETIRED, RETIRING};
use crate::this_cpu::Cpu;
use crate::types::FlushRequest;
use core::sync::atomic::{AtomicU64, Ordering};

/// Why a call is refused.
#[derive(Clone, Copy)]
enum Misuse {
    /// This engine asks only its own CPUs: those that have the space loaded would not be told of a flush (SD-10).
    OtherEngine,
    /// A flush of kernel memory does not ask this CPU (SD-13).
    OffLine,
    /// User code may run on this CPU and would go on without a root, or a guard relies on the space being loaded
    /// (SD-3).
    Active,
    /// Its memory may go at any time (SD-10).
    Retired,
    /// It is counted: it ends with its references (SD-10).
    Counted,
}

/// Identity of an engine. It stays when the engine moves, and no later engine has it. 0 until the engine makes a space.
///
/// The engine takes it late, because `new` is a constant function. It is no [`Word`](crate::sync::Word), but a plain
/// atomic: no decision depends on which number an engine has, so there is nothing for a checker to explore.
pub(crate) struct Identity(AtomicU64);

/// Identities taken so far; 64 bits do not run out.
static TAKEN: AtomicU64 = AtomicU64::new(0);

impl Identity {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Equal to the `owner` of every [`AddressSpace`] that this engine made, and of no other.
    #[inline(always)]
    pub(crate) fn get(&self) -> u64 {
        // ORDER: relaxed; a caller that has a space of this engine has seen the identity set, and it never changes
        // (`spaces_made_at_once`).
        self.0.load(Ordering::Relaxed)
    }

    /// The same, taken where this is the engine's first space.
    pub(crate) fn get_or_take(&self) -> u64 {
        if self.get() == 0 {
            // ORDER: relaxed; only uniqueness matters (`spaces_made_at_once`).
            let mine = TAKEN.fetch_add(1, Ordering::Relaxed) + 1;
            // ORDER: relaxed; where two CPUs make the first space at once, one number wins (`spaces_made_at_once`).
            let _ = self.0.compare_exchange(0, mine, Ordering::Relaxed, Ordering::Relaxed);
        }
        self.get()
    }
}

impl<P: Platform> Shootdown<P> {
    /// Refuses a space that another engine made.
    #[inline(always)]
    pub(crate) fn must_own(&self, space: &AddressSpace<P>) {
        if space.owner != self.identity.get() {
            self.refuse_space(space);
        }
    }

    /// Refuses to synchronise contexts that nothing reaches: the call would end with a CPU still running old code
    /// (SD-21).
    #[inline(always)]
    pub(crate) fn must_reach_contexts(&self, request: FlushRequest) {
        if !P::SYNCS_CONTEXTS && request.syncs_contexts() {
            refuse_contexts();
        }
    }

    /// Refuses to load a space that was retired.
    #[inline]
    pub(crate) fn must_not_be_retired(&self, space: &AddressSpace<P>) {
        // ORDER: relaxed; that nobody enters it is the owner's promise, and this notices some that break it (`enter-vs-flush`).
        if matches!(space.structs.load(Ordering::Relaxed), RETIRING | RETIRED) {
            refuse(Misuse::Retired, space.id().0);
        }
    }

    /// Refuses to retire a space that is counted.
    #[cold]
    pub(crate) fn refuse_counted(&self, space: &AddressSpace<P>) -> ! {
        refuse(Misuse::Counted, space.id().0)
    }

    /// Its arguments are values that most callers have in these registers already.
    #[cold]
    #[inline(never)]
    fn refuse_space(&self, space: &AddressSpace<P>) -> ! {
        refuse(Misuse::OtherEngine, space.id().0)
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Refuses to load a space on a CPU that is not on line; `loaded` is what this CPU has loaded.
    #[inline]
    pub(crate) fn must_be_on_line(self, loaded: Loaded) {
        if loaded == Loaded::OFF_LINE {
            self.refuse_cpu(Misuse::OffLine);
        }
    }

    /// Refuses to take the space away from user code on this CPU.
    #[inline]
    pub(crate) fn must_not_run_user_code(self) {
        if self.loaded().is_active() {
            self.refuse_cpu(Misuse::Active);
        }
    }

    /// Refuses to retire a space that user code runs in on this CPU.
    #[inline]
    pub(crate) fn must_not_run_user_code_in(self, space: &AddressSpace<P>) {
        if self.loaded() == Loaded::active(space.address()) {
            self.refuse_cpu(Misuse::Active);
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse_cpu(self, misuse: Misuse) -> ! {
        refuse(misuse, u64::from(self.me().number()))
    }
}

#[cold]
#[inline(never)]
fn refuse_contexts() -> ! {
    panic!("no IPI is sent here, and what flushes instead synchronises no context (`SYNCS_CONTEXTS`)");
}

/// Not generic, so that there is one copy of its code.
#[cold]
#[inline(never)]
fn refuse(misuse: Misuse, number: u64) -> ! {
    let why = match misuse {
        Misuse::OtherEngine => "made by another engine: space",
        Misuse::OffLine => "not on line, call online_cpu first: CPU",
        Misuse::Active => "runs user code, call enter_lazy first: CPU",
        Misuse::Retired => "was retired, enter another: space",
        Misuse::Counted => "is registered, drop its references instead: space",
    };
    panic!("{why} {number}");
}

#[cfg(all(test, not(any(shootdown_explore, shootdown_loom, shootdown_break, shootdown_instrumented))))]
mod tests {
    extern crate std;
    use super::Identity;
    use std::vec::Vec;

    #[test]
    fn two_that_take_the_first_identity_at_once_get_the_same() {
        let mut seen = Vec::new();
        for _ in 0..if cfg!(miri) { 4 } else { 200 } {
            let identity = Identity::new();
            assert_eq!(identity.get(), 0);
            let barrier = std::sync::Barrier::new(2);
            let take = || {
                barrier.wait();
                identity.get_or_take()
            };
            let [one, other] = std::thread::scope(|scope| {
                [scope.spawn(take), scope.spawn(take)].map(|thread| thread.join().expect("no panic"))
            });
            assert_eq!((one, other), (identity.get(), one));
            seen.push(one);
        }
        seen.push(0);
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] < pair[1]), "each engine has its own: {seen:?}");
    }
}
