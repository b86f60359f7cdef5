//! The part of a platform.

use crate::encode::{
    Context, Dispatch, EncodeError, HvCall, PSTATE_IE, Root, Selector, Slots, Status, TLB_ENTRIES, TTE_LOCK,
    demap_all, demap_context, demap_page, dispatch, mondo, tlb_entry, with_context,
};
use crate::exec;
use crate::plan::{Machine, Step, Strategies};
use shootdown::Platform;
use shootdown::flush::{LocalFlush, Remote, RemoteFlush, VirtAddr};
use shootdown::tags::{OnInstall, Tag};

/// Bodies of the methods of a [`Platform`] that touch the hardware. One value for all CPUs, so that they agree.
#[derive(Clone, Copy, Debug)]
pub struct Mmu {
    strategies: Strategies,
    kernel_root: Root,
}

impl Mmu {
    /// Makes the part. `kernel_root` has no translations of spaces, and is loaded for no space.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the value is used in privileged mode, at trap level 0, on machines of the kind that the strategies name, and
    ///    with roots of that kind;
    /// 2. user code runs with the primary context that the secondary register holds when the kernel is left, and the
    ///    kernel with context 0; its text is mapped in the nucleus context.
    pub const unsafe fn new(strategies: Strategies, kernel_root: Root) -> Self {
        Self { strategies, kernel_root }
    }

    /// The hardware features in use.
    pub const fn strategies(&self) -> &Strategies {
        &self.strategies
    }

    /// Body of [`Platform::flush_local`].
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off.
    #[inline]
    pub unsafe fn flush_local(&self, what: LocalFlush) {
        match self.strategies.local(what) {
            Step::Pages(pages, context) => pages.for_each(|page| self.drop_page(page, context)),
            Step::Context(context) => self.drop_context(context),
            Step::All => self.drop_all(),
            Step::Nothing => {}
        }
        if Strategies::syncs_contexts(what.request) {
            // SAFETY: it has no effect but order.
            unsafe { exec::flush() };
        }
    }

    /// Body of [`Platform::install`]. Tags that are no context share one, which is flushed at each load; no root is the
    /// kernel's context. It ends in FLUSH, so that contexts are synchronised too.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off;
    /// 2. the root's memory stays until another is installed;
    /// 3. `how` is such that no entry under `tag` belongs to another space or to an older state of this one.
    #[inline]
    pub unsafe fn install(&self, root: Option<Root>, tag: Tag, how: OnInstall) {
        let context = if root.is_some() { self.strategies.context(tag) } else { Context::KERNEL };
        // No miss handler fills a space's context while the root and the context change.
        self.write_secondary(Context::KERNEL);
        if root.is_some() && (how == OnInstall::Flush || context == Context::SHARED) {
            self.drop_context(context);
        }
        match root.unwrap_or(self.kernel_root) {
            // SAFETY: 1. the caller of `new` ensures it; 2. the caller does.
            Root::Register(value) => unsafe { exec::write_tsb(value) },
            Root::Descriptions(address, count) => self.call(HvCall::tsb(address, count)),
        }
        self.write_secondary(context);
    }

    /// Sends a mondo of sun4u to `target`, its number on the bus, and says what became of it. The words are what the
    /// target's interrupt vector finds. A mondo that was refused is sent again, after a while with interrupts on: two
    /// CPUs that send to each other must not wait for ever.
    ///
    /// # Errors
    /// The number is no CPU's.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off, on a sun4u;
    /// 2. the target's interrupt vector understands the words.
    pub unsafe fn send_mondo(&self, target: u32, words: [u64; 3]) -> Result<Dispatch, EncodeError> {
        let slots = match self.strategies.machine() {
            Machine::Cheetah(slots) => slots,
            Machine::Spitfire | Machine::Sun4v => Slots::One,
        };
        let address = mondo(target, slots)?;
        // SAFETY: 1. the caller's; one mondo at a time is sent and waited for here.
        unsafe { exec::send_mondo(words, address) };
        loop {
            // SAFETY: 1. the caller's.
            let status = unsafe { exec::read_dispatch() };
            match dispatch(status, target, slots) {
                Dispatch::Busy => core::hint::spin_loop(),
                done => return Ok(done),
            }
        }
    }

    /// Asks the hypervisor of sun4v to send mondos; see [`HvCall::mondo`]. Those that arrived are marked in the list.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. a sun4v; list and data are real addresses of memory of this CPU's, aligned to 2 and 64 bytes.
    pub unsafe fn send_mondos(&self, count: u64, list: u64, data: u64) -> Status {
        // SAFETY: 1. and 2. the caller's.
        Status::decode(unsafe { exec::hypervisor(HvCall::mondo(count, list, data)) })
    }

    /// Body of [`Platform::flush_remote`]: no sparc64 broadcasts; IPIs are used.
    #[inline]
    pub fn flush_remote<P: Platform>(&self, what: &RemoteFlush<'_, P>) -> Remote {
        let _ = what;
        Remote::NeedsIpi
    }

    /// Body of [`Platform::publish_tables`]. Nothing is needed: tables are read by miss handlers, which are ordinary
    /// code, and the engine's full fence comes next.
    #[inline]
    pub fn publish_tables(&self) {}

    /// Body of [`Platform::relax`].
    #[inline]
    pub fn relax(&self) {
        core::hint::spin_loop();
    }

    /// Body of [`Platform::irq_save`].
    #[inline]
    pub fn irq_save(&self) -> bool {
        // SAFETY: 1. the caller of `new` ensures it.
        let state = unsafe { exec::interrupts_off() };
        state & PSTATE_IE != 0
    }

    /// Body of [`Platform::irq_restore`].
    #[inline]
    pub fn irq_restore(&self, were_on: bool) {
        if were_on {
            // SAFETY: 1. the caller of `new` ensures it; they were on before.
            unsafe { exec::interrupts_on() };
        }
    }

    fn drop_page(&self, page: VirtAddr, context: Context) {
        let number = u64::from(context.number());
        match (self.strategies.machine(), context) {
            (Machine::Sun4v, _) => self.call(HvCall::demap_page(page, context)),
            // SAFETY: 1. the callers of `new` and `flush_local` ensure it.
            (_, Context::KERNEL) => unsafe { exec::demap(demap_page(page, Selector::Nucleus)) },
            // SAFETY: 1. as above.
            (Machine::Spitfire, _) => unsafe {
                exec::demap_in_secondary(number, demap_page(page, Selector::Secondary));
            },
            // SAFETY: 1. as above.
            (Machine::Cheetah(_), _) => unsafe {
                exec::demap_in_primary(number, demap_page(page, Selector::Primary));
            },
        }
    }

    fn drop_context(&self, context: Context) {
        let number = u64::from(context.number());
        match self.strategies.machine() {
            Machine::Sun4v => self.call(HvCall::demap_context(context)),
            // SAFETY: 1. `new`, the callers of `flush_local` and `install` ensure it.
            Machine::Spitfire => unsafe {
                exec::demap_in_secondary(number, demap_context(Selector::Secondary))
            },
            // SAFETY: 1. as above.
            Machine::Cheetah(_) => unsafe {
                exec::demap_in_primary(number, demap_context(Selector::Primary))
            },
        }
    }

    fn drop_all(&self) {
        match self.strategies.machine() {
            Machine::Sun4v => self.call(HvCall::demap_all()),
            // SAFETY: 1. the callers of `new` and `flush_local` ensure it.
            Machine::Cheetah(_) => unsafe { exec::demap(demap_all()) },
            Machine::Spitfire => (0..TLB_ENTRIES).map(tlb_entry).for_each(drop_entry),
        }
    }

    fn write_secondary(&self, context: Context) {
        if self.strategies.machine() == Machine::Sun4v {
            // SAFETY: 1. the caller of `new` ensures it.
            unsafe { exec::write_secondary_sun4v(u64::from(context.number())) };
            return;
        }
        // SAFETY: 1. the caller of `new` ensures it.
        let old = unsafe { exec::read_secondary() };
        // SAFETY: 1. as above.
        unsafe { exec::write_secondary(with_context(old, context)) };
    }

    /// Calls the hypervisor. A flush that it refuses would end in memory that is used twice: better to stop (SD-8).
    fn call(&self, call: HvCall) {
        // SAFETY: 1. the caller of `new` ensures it; 2. `install` does, and the other calls name no memory.
        let status = Status::decode(unsafe { exec::hypervisor(call) });
        assert!(status == Status::Done, "hypervisor call {:#x}: {status:?}", call.function);
    }
}

/// Drops one entry of each TLB, unless it is locked.
fn drop_entry(entry: u64) {
    // SAFETY: 1. the caller of `Mmu::new` ensures it.
    if unsafe { exec::read_data_entry(entry) } & TTE_LOCK == 0 {
        // SAFETY: 1. as above, and `flush_local`; 2. just looked at, and nothing locks entries meanwhile.
        unsafe { exec::clear_data_entry(entry) };
    }
    // SAFETY: 1. as above.
    if unsafe { exec::read_instruction_entry(entry) } & TTE_LOCK == 0 {
        // SAFETY: 1. and 2. as above.
        unsafe { exec::clear_instruction_entry(entry) };
    }
}
