//! What schedulers and kernel threads call.

use crate::engine::{EngineError, Shootdown};
use crate::hw;
use crate::percpu::Loaded;
use crate::platform::{IrqReason, Platform};
use crate::refs::UserRef;
use crate::space::AddressSpace;
use crate::sync::UNWINDS;
use crate::this_cpu::{Cpu, ThisCpu};
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ops::Deref;

impl<P: Platform> Shootdown<P> {
    /// Makes `next` the space that user code on this CPU runs in (Linux: `switch_mm_irqs_off`). If it is that already,
    /// nothing happens; a lazy CPU that returns to the space it still has loaded writes no shared line.
    ///
    /// The thread that runs keeps a user reference for as long as it runs in the space. Never waits.
    ///
    /// # Panics
    /// If this CPU is not on line, or another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let (a, b) = (boot(0x1000), space(0x2000));
    /// map(&a, 0x4000, 7);
    /// map(&b, 0x4000, 8);
    /// ENGINE.switch_to(&a);
    /// assert_eq!(load(0x4000), Some(7));
    /// ENGINE.switch_to(&b);
    /// assert_eq!(load(0x4000), Some(8));
    /// ```
    pub fn switch_to(&self, next: &UserRef<'_, P>) {
        ThisCpu::enter(self, IrqReason::Switch).switch_to(next);
    }

    /// Switches from one thread to another and hands their references over (Linux: `context_switch`): `running` is this
    /// CPU's, and keeps the reference of the thread that runs here. `None` stands for a kernel thread, which is lazy.
    /// Returns the reference of the thread that ran before, for its control block; if that thread has exited,
    /// [`put`](UserRef::put) it.
    ///
    /// # Panics
    /// As [`switch_to`](Self::switch_to); `running` is as before then.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let (a, b) = (boot(0x1000), space(0x2000));
    /// map(&b, 0x4000, 8);
    /// let mut running = Some(a.clone());
    /// ENGINE.switch_to(&a);
    /// let previous = ENGINE.hand_over(&mut running, Some(b));
    /// assert_eq!(previous.map(|user| user.id()), Some(a.id()));
    /// assert_eq!(load(0x4000), Some(8));
    /// let previous = ENGINE.hand_over(&mut running, None); // to a kernel thread
    /// assert!(running.is_none() && previous.is_some());
    /// ```
    #[must_use = "the thread that ran before owns the reference"]
    pub fn hand_over<'m>(
        &'m self,
        running: &mut Option<UserRef<'m, P>>,
        next: Option<UserRef<'m, P>>,
    ) -> Option<UserRef<'m, P>> {
        match &next {
            Some(next) => self.switch_to(next),
            None => self.enter_lazy(),
        }
        core::mem::replace(running, next)
    }

    /// Says that user code has stopped on this CPU and a kernel thread runs on whatever is loaded (Linux:
    /// `enter_lazy_tlb`). The space is not counted: its end evicts this CPU. Never waits.
    ///
    /// From now on no flush waits for this CPU before frames of the space are reused, so user code's stores must be
    /// complete. The engine's store with release order ensures that, except for x86's non-temporal stores. On x86 the
    /// kernel must have run something that drains those on its way here: an interrupt or exception that came from user
    /// code, a locked instruction (any spin lock) or SFENCE does (SDM volume 3, buffering of write-combining memory
    /// locations); SYSCALL and SYSENTER do not.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// on(1, || {
    ///     ENGINE.switch_to(&user);
    ///     ENGINE.enter_lazy();
    /// });
    /// // A flush does not interrupt a lazy CPU, unless page tables are freed.
    /// ENGINE.flush(&user, FlushRequest::all());
    /// assert_eq!(ipis(), 0);
    /// ENGINE.flush(&user, FlushRequest::all().tables_freed());
    /// assert_eq!(ipis(), 1);
    /// ```
    pub fn enter_lazy(&self) {
        const { assert!(P::INTERRUPTS, "a CPU that is lazy can only be evicted by an IPI") };
        ThisCpu::enter(self, IrqReason::EnterLazy).enter_lazy();
    }

    /// Loads the kernel's own root on a lazy CPU and takes it out of the mask (Linux: `leave_mm`). Never waits.
    ///
    /// # Panics
    /// If user code runs on this CPU, or a kernel thread that borrows: call [`enter_lazy`](Self::enter_lazy) first, or
    /// drop the [`Borrow`].
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// on(1, || {
    ///     ENGINE.switch_to(&user);
    ///     assert_eq!(load(0x4000), Some(7));
    ///     ENGINE.enter_lazy();
    ///     ENGINE.leave();
    ///     assert_eq!(load(0x4000), None); // the kernel's root maps no user memory
    /// });
    /// ENGINE.flush(&user, FlushRequest::all().tables_freed());
    /// assert_eq!(ipis(), 0);
    /// ```
    pub fn leave(&self) {
        ThisCpu::enter(self, IrqReason::Leave).leave_unless_active();
    }

    /// Lets a kernel thread work on user memory of a space (Linux: `kthread_use_mm`). The borrower puts itself into the
    /// mask before it loads anything, like any other CPU: no count of users decides who is in the mask (SD-9).
    ///
    /// A kernel thread that is moved to another CPU while it borrows is switched there with
    /// [`switch_to`](Self::switch_to), like a user thread. Never waits.
    ///
    /// # Errors
    /// [`EngineError::NotAKernelThread`].
    ///
    /// # Panics
    /// If this CPU is not on line, or another engine made the space.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::{CpuId, EngineError};
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// on(1, || {
    ///     let borrow = ENGINE.borrow(&user)?; // CPU 1 runs a kernel thread
    ///     assert_eq!(load(0x4000), Some(7));
    ///     drop(borrow); // lazy from here on
    ///     Ok::<(), EngineError>(())
    /// })?;
    ///
    /// ENGINE.switch_to(&user); // CPU 0 runs a user thread
    /// assert_eq!(ENGINE.borrow(&user).err(), Some(EngineError::NotAKernelThread(CpuId::new(0))));
    /// # Ok::<(), EngineError>(())
    /// ```
    pub fn borrow<'a>(&'a self, user: &'a UserRef<'_, P>) -> Result<Borrow<'a, P>, EngineError> {
        let this_cpu = ThisCpu::enter(self, IrqReason::Switch);
        if this_cpu.loaded().is_active() {
            return Err(EngineError::NotAKernelThread(this_cpu.me()));
        }
        this_cpu.switch_to_rarely(user);
        Ok(Borrow { engine: self, user_space: user, on_this_thread: PhantomData })
    }

    /// Runs `body` with `temporary` loaded and interrupts off, then returns to what was loaded (Linux:
    /// `use_temporary_mm`, for patching code through a private mapping). A lazy CPU leaves its space first, so that it
    /// cannot return to one that died meanwhile (Linux commit abee7c494d8c). `body` must not wait for other CPUs.
    ///
    /// # Panics
    /// If this CPU is not on line, or another engine made the space.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. a user thread that calls this keeps its reference to the space that it runs in until the call returns or
    ///    unwinds: `body` does not put it. The mask does not hold the space meanwhile, so it would die, and then be
    ///    loaded again.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let (user, patching) = (boot(0x1000), space(0x2000));
    /// map(&patching, 0x9000, 3);
    /// ENGINE.switch_to(&user);
    /// // SAFETY: 1. `user` is kept until the end of the example.
    /// let frame = unsafe { ENGINE.with_temporary_space(&patching, || load(0x9000)) };
    /// assert_eq!(frame, Some(3));
    /// assert_eq!(load(0x9000), None); // `user` is loaded again
    /// ```
    #[expect(unsafe_code, reason = "which references a thread owns cannot be seen in any type")]
    pub unsafe fn with_temporary_space<R>(&self, temporary: &UserRef<'_, P>, body: impl FnOnce() -> R) -> R {
        self.must_own(temporary);
        let this_cpu = ThisCpu::enter(self, IrqReason::Temporary);
        if this_cpu.loaded().is_lazy() {
            this_cpu.leave();
        }
        // If user code was active here, it is this very thread's, which keeps its space alive.
        let home = hw::space_of::<P>(this_cpu.loaded());
        this_cpu.switch_to_rarely(temporary);
        let back = Back { cpu: *this_cpu, home };
        let answer = body();
        back.go();
        answer
    }

    /// Handles an IPI (Linux: `flush_tlb_func`): call it from the IPI handler, or from a spin loop that runs with
    /// interrupts off. Safe in interrupt context. Never waits.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU, and stay off until it returns;
    /// 2. it does not come between the steps of a call of the engine that has interrupts off on this CPU: not in an NMI
    ///    handler, and not in a callback of the [`Platform`] that such a call makes.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::{CpuId, Platform};
    /// let user = boot(0x1000);
    /// fn ipi_handler() {
    ///     // SAFETY: 1. interrupts are off in the handler; 2. the IPI is maskable, and so never arrives in the engine.
    ///     unsafe { ENGINE.handle_ipi() }
    /// }
    /// on(1, ipi_handler); // a spurious interrupt does no harm
    /// assert_eq!(ENGINE.platform().local(CpuId::new(1)).counters().ipis_handled(), 0);
    /// ```
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    pub unsafe fn handle_ipi(&self) {
        Cpu::in_handler(self).handle_ipi();
    }
}

/// A temporary space that is loaded. When the closure unwinds, its drop returns to what was loaded before.
struct Back<'a, P: Platform> {
    cpu: Cpu<'a, P>,
    home: Option<&'a AddressSpace<P>>,
}

impl<P: Platform> Back<'_, P> {
    fn go(self) {
        let Self { cpu, home } = *ManuallyDrop::new(self);
        cpu.return_to(home);
    }
}

impl<P: Platform> Drop for Back<'_, P> {
    fn drop(&mut self) {
        if UNWINDS {
            self.cpu.settle();
            self.cpu.return_to(self.home);
        }
    }
}

/// A space that a kernel thread has borrowed (Linux: between `kthread_use_mm` and `kthread_unuse_mm`); see
/// [`Shootdown::borrow`]. When it is dropped, the thread goes lazy on the space.
///
/// If the scheduler loads another space on this CPU meanwhile, it must switch back before the thread goes on; debug
/// builds check that when the borrow is dropped.
#[must_use = "dropped at once, the space is not borrowed"]
pub struct Borrow<'a, P: Platform> {
    engine: &'a Shootdown<P>,
    user_space: &'a UserRef<'a, P>,
    /// Another thread is on another CPU, which has nothing borrowed.
    on_this_thread: PhantomData<*const ()>,
}

impl<'a, P: Platform> Deref for Borrow<'a, P> {
    type Target = UserRef<'a, P>;
    fn deref(&self) -> &UserRef<'a, P> {
        self.user_space
    }
}

impl<P: Platform> Drop for Borrow<'_, P> {
    fn drop(&mut self) {
        debug_assert!(
            ThisCpu::enter(self.engine, IrqReason::EnterLazy).loaded()
                == Loaded::active(self.user_space.address()),
            "{:?} was borrowed and is not loaded: switch back first",
            self.user_space.id()
        );
        self.engine.enter_lazy();
    }
}
