//! Calls that the engine refuses in release builds too: to go on would let memory go while a CPU can still reach it.

use crate::engine::Shootdown;
use crate::here::Cpu;
use crate::percpu::Loaded;
use crate::platform::Platform;
use crate::space::AddressSpace;

/// Why a call is refused.
#[derive(Clone, Copy)]
enum Misuse {
    /// This engine asks its own CPUs alone: those that have the space loaded would not hear of a flush (SD-10).
    OtherEngine,
    /// A flush of kernel memory does not ask this CPU (SD-13).
    OffLine,
    /// User code may run on this CPU, and would go on without a root, or a guard says that the space is loaded (SD-3).
    Active,
}

impl<P: Platform> Shootdown<P> {
    /// Refuses a space that another engine made, or this one before it moved.
    #[inline(always)]
    pub(crate) fn must_own(&self, space: &AddressSpace<P>) {
        if space.owner != self.address() {
            self.refuse_space(space);
        }
    }

    /// What [`AddressSpace`]'s `owner` holds for this engine.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }

    /// Takes what most callers have at hand in the registers where they have it.
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

    #[cold]
    #[inline(never)]
    fn refuse_cpu(self, misuse: Misuse) -> ! {
        refuse(misuse, u64::from(self.me().number()))
    }
}

/// Not generic, so that its code is there once.
#[cold]
#[inline(never)]
fn refuse(misuse: Misuse, number: u64) -> ! {
    let why = match misuse {
        Misuse::OtherEngine => "made by another engine, or before this one moved: space",
        Misuse::OffLine => "not on line, call online_cpu first: CPU",
        Misuse::Active => "runs user code, call enter_lazy first: CPU",
    };
    panic!("{why} {number}");
}
