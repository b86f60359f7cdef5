//! CPUs that run user code and must not be disturbed (Linux: `nohz_full`, and deferred IPIs for kernel TLB flushes).
//!
//! User code cannot use a translation of kernel memory, so a CPU that runs it need not flush one before it comes into
//! the kernel. [`Published::kernel_caught`](crate::percpu::Published) says so: with [`IN_USER`] it is above every
//! generation.
//!
//! ```text
//!   this CPU, on entry            initiator of a flush of kernel memory
//!   its mark := none              page tables change; generation += 1
//!   full fence                    full fence
//!   reads generation, flushes     reads the mark
//! ```
//! So this CPU sees the generation and flushes before it uses what was unmapped, or the initiator sees it in the kernel
//! and sends an IPI or leaves the flush to its entry, or both. Explored by `user-mode-entry` (and loom,
//! `user_mode_vs_kernel_flush`). Walkers read page tables whatever the mode, so a flush that frees tables does not look
//! at the mark (SD-7). Nor does any where the platform says that no CPU enters user mode so ([`Platform::USER_MODE`]):
//! it interrupts every CPU.

use crate::engine::Shootdown;
use crate::fault::{Rule, Site, without};
use crate::hw;
use crate::percpu::IN_USER;
use crate::platform::{LocalFlush, Platform};
use crate::this_cpu::Cpu;
use crate::unwind::Unanswered;
use core::sync::atomic::Ordering;

impl<P: Platform> Shootdown<P> {
    /// Says that this CPU is about to run user code, and will catch up before it uses kernel memory again (Linux:
    /// `ct_user_enter`). Until [`exit_user`](Self::exit_user), flushes of kernel memory neither interrupt it nor wait
    /// for it, unless they free page tables (SD-20). It pays on CPUs that stay in user mode: an entry takes a full
    /// fence. Where kernel memory is flushed by broadcasts it saves nothing.
    ///
    /// The platform must have [`USER_MODE`](Platform::USER_MODE) set. If not, debug builds panic; in others flushes
    /// interrupt this CPU all the same.
    ///
    /// Flushes of spaces interrupt it as ever: user code uses those. Each handler that interrupts it removes the mark
    /// with `exit_user`, so each way back to user mode calls this again.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, and stay off until user code runs;
    /// 2. the first thing that this CPU does when it comes into the kernel again, by whatever way, a reset among them,
    ///    is to call [`exit_user`](Self::exit_user) with interrupts off, or for a non-maskable interrupt
    ///    [`in_nmi`](Self::in_nmi);
    /// 3. what it uses of kernel memory until that has returned is never unmapped, and its code never changed: code and
    ///    stacks of the entry, the engine, the memory of this CPU, and what hardware reads and writes meanwhile
    ///    (descriptor tables, trace buffers).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// # use shootdown::{CpuId, Platform};
    /// boot(0x1000); // four CPUs
    /// // SAFETY: 1. to 3. CPU 3 does nothing until it comes into the kernel below.
    /// on(3, || unsafe { ENGINE.enter_user() });
    /// ENGINE.flush_kernel(FlushRequest::pages(page(0xffff_8000_0000_0000)));
    /// assert_eq!(ipis(), 2); // not to CPU 3
    /// // SAFETY: 1. and 2. nothing interrupts CPU 3 here.
    /// on(3, || unsafe { ENGINE.exit_user() });
    /// let counters = ENGINE.platform().local(CpuId::new(3)).counters();
    /// assert_eq!((counters.ipis_handled(), counters.selective_flushes()), (0, 1));
    /// ```
    #[expect(unsafe_code, reason = "what code touches on its way to user mode cannot be seen in any type")]
    pub unsafe fn enter_user(&self) {
        debug_assert!(P::USER_MODE, "the platform says that no CPU calls this (`USER_MODE`)");
        let caught = &Cpu::in_handler(self).local.published.kernel_caught;
        // ORDER: relaxed, as only this CPU writes it.
        let seen = caught.load(Ordering::Relaxed);
        // ORDER(SD-8): what this CPU did with kernel memory is over before its frames are reused; partner:
        // `Awaited::is_behind_in_kernel`.
        caught.store(seen | IN_USER, Site::EnterUser.release());
    }

    /// Says that this CPU has come into the kernel, and flushes what it has missed of kernel memory (Linux:
    /// `ct_user_exit`). Without [`enter_user`](Self::enter_user) before, it catches up and nothing more. Call it with
    /// interrupts off, before anything that can be unmapped is touched. Never waits.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU, and stay off until it returns: a thread that is moved would acknowledge for
    ///    another CPU;
    /// 2. it does not come between the steps of a call of the engine that has interrupts off on this CPU: what may
    ///    calls [`in_nmi`](Self::in_nmi).
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    pub unsafe fn exit_user(&self) {
        let this_cpu = Cpu::in_handler(self);
        this_cpu.unmark_user();
        if without(Rule::EntryCatchesUp) {
            return;
        }
        // A CPU that saw the mark asked nothing of this one, and may wait for it by now.
        let unanswered = Unanswered(this_cpu.local);
        this_cpu.catch_up_kernel();
        core::mem::forget(unanswered);
    }

    /// Runs the handler of a non-maskable interrupt, whatever this CPU was about to do: in user mode, on its way there
    /// or back, or in the middle of a call of the engine (Linux: `ct_nmi_enter`). What `handler` uses of kernel memory
    /// is flushed before. Never waits.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU, and stay off until it returns, as in a handler of a non-maskable one;
    /// 2. `handler` calls nothing else of the engine, but for [`is_complete`](Self::is_complete);
    /// 3. [`Platform::flush_local`] bears being interrupted by itself.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::flush::FlushRequest;
    /// boot(0x1000);
    /// // SAFETY: 1. to 3. CPU 3 does nothing until it comes into the kernel below.
    /// on(3, || unsafe { ENGINE.enter_user() });
    /// // SAFETY: 1. and 3. nothing interrupts CPU 3 here; 2. the handler calls nothing.
    /// let profile = on(3, || unsafe { ENGINE.in_nmi(|| 7) });
    /// ENGINE.flush_kernel(FlushRequest::all());
    /// assert_eq!((profile, ipis()), (7, 2)); // CPU 3 is in user mode again
    /// ```
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    pub unsafe fn in_nmi<R>(&self, handler: impl FnOnce() -> R) -> R {
        let this_cpu = Cpu::in_handler(self);
        let caught = &this_cpu.local.published.kernel_caught;
        let seen = this_cpu.unmark_user();
        // The interrupted code acknowledges, now or when it comes into the kernel: it may be about to store an older generation.
        if seen & !IN_USER != self.kernel.now() && !without(Rule::EntryCatchesUp) {
            hw::flush_local(self.platform(), LocalFlush::EVERYTHING);
        }
        let answer = handler();
        if seen & IN_USER != 0 {
            // ORDER(SD-8): as in `enter_user`.
            caught.store(seen, Site::EnterUser.release());
        }
        answer
    }
}

impl<P: Platform> Cpu<'_, P> {
    /// Takes the mark of user mode away, before the generation is read. Returns what was there.
    fn unmark_user(self) -> u64 {
        let caught = &self.local.published.kernel_caught;
        // ORDER: relaxed, as only this CPU writes it.
        let seen = caught.load(Ordering::Relaxed);
        if seen & IN_USER != 0 {
            // ORDER(SD-8): a CPU that reads this takes the generation for an acknowledgement, and what came before it
            // as over. A relaxed store would end the release sequence that `catch_up_kernel_from` or `enter_user`
            // heads; partner: `Awaited::is_behind_in_kernel`. The fence below orders it before the generation is read
            // (SD-20).
            caught.store(seen & !IN_USER, Site::ExitUser.release());
        }
        // ORDER(SD-20): see the drawing; partner: the fence in `Shootdown::set_out`.
        Site::ExitUserFence.full_fence();
        seen
    }
}
