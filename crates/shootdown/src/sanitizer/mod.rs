//! A TLB sanitizer for real kernels: watches a platform of the engine and says which frame was freed too early, which
//! CPU freed it, which CPU may still use it, and which flush was missing.
//!
//! # Wrapping a platform
//! Beside its [`Platform`](crate::Platform) the machine's type says once more what names that type:
//! ```
//! # use shootdown::flush::LocalFlush;
//! # use shootdown::mask::CpuMask;
//! # use shootdown::refs::{Teardown, TeardownHandle};
//! # use shootdown::sanitizer::{Checked, Panics, Wrapped};
//! # use shootdown::tags::{OnInstall, Tag, Untagged};
//! # use shootdown::trace::IrqReason;
//! # use shootdown::{AddressSpace, CpuId, CpuLocal, EngineError, Platform, Shootdown};
//! # struct Kernel(CpuLocal);
//! # // SAFETY: nothing is run.
//! # unsafe impl Platform for Kernel {
//! #     type Root = u64; type Mask = CpuMask<1>; type Handle = &'static AddressSpace<Self>; type Tags = Untagged; type Pin = ();
//! #     fn pin(&self) {}
//! #     fn cpu(&self) -> CpuId { CpuId::new(0) }
//! #     fn local(&self, _: CpuId) -> &CpuLocal { &self.0 }
//! #     fn irq_save(&self, _: IrqReason) -> bool { true }
//! #     fn irq_restore(&self, _: bool) {}
//! #     fn tags(&self) -> &Untagged { &Untagged }
//! #     unsafe fn flush_local(&self, _: LocalFlush) {}
//! #     unsafe fn install(&self, _: Option<u64>, _: Tag, _: OnInstall) {}
//! #     fn send_ipi(&self, _: CpuId) {}
//! #     unsafe fn free_root(&self, _: Self::Handle) {}
//! #     fn defer_teardown(&self, teardown: Teardown<'_, Self>) { let _ = teardown.into_handle(); }
//! # }
//! # impl Kernel { fn free_tables(&self, _: u64) {} fn keep(&self, _: TeardownHandle<Machine>) {} }
//! type Machine = Checked<Kernel, Panics, 4>; // without the sanitizer: `Kernel`
//! // SAFETY: 1. both are the defaults.
//! unsafe impl Wrapped<Machine> for Kernel {
//!     type Handle = &'static AddressSpace<Machine>;
//!     unsafe fn free_root(&self, space: &'static AddressSpace<Machine>) { self.free_tables(space.root()) }
//!     fn defer_teardown(&self, teardown: Teardown<'_, Machine>) { self.keep(teardown.into_handle()) }
//! }
//! let engine = Shootdown::new(Machine::new(Kernel(CpuLocal::new()), Panics), CpuMask::new());
//! engine.online_cpu()?;
//! assert_eq!(engine.platform().tally().violations, 0);
//! # Ok::<(), EngineError>(())
//! ```
//! A platform whose handles cannot be written for two machine types tells a [`Sanitizer`] by hand, with a call or two
//! in each of nine of its methods: the kernel that comes with the engine does.
//!
//! A violation is counted and reported to a [`Verdict`]: [`Panics`], [`Counts`], or a function of your own.
//!
//! # What it sees
//! * Every gather, when it announces its flush and when it lets its frames go: every CPU that has the space loaded by
//!   then must have flushed what was unmapped, since it was; a lazy CPU only where tables are freed.
//! * A CPU that comes back to a space later, from being lazy or with entries under a tag: must have flushed what was
//!   given back meanwhile.
//! * A tag that passes from one space to another without a flush, and a root that is freed while it is loaded.
//! * Other removals, and those of kernel memory, once [`Checked::removed`] and [`Checked::about_to_free`] say so; a CPU
//!   that comes on line must have flushed them.
//!
//! It does not rely on the engine's state: not on masks, generations, or the words that say what is loaded. If any one
//! of the rules SD-1 to SD-10 and SD-12 to SD-14 is removed from the engine, it reports a violation. It reports nothing
//! about the engine as it ships. The explorer checks both, the sanitizer's own cells included.
//!
//! # What it cannot see
//! * Whether hardware did what the platform says: a flush counts as done when the platform returns from it.
//! * Waits that never end (SD-11, SD-18, SD-19), and calls that return too early without giving anything back (SD-15).
//! * User mode: where CPUs [`enter_user`](crate::Shootdown::enter_user), it reports flushes of kernel memory that they
//!   have left to their next entry (SD-20).
//! * Flushes that no platform sees: a [`TagBroadcast`](crate::tags::TagBroadcast) has to run inside
//!   [`Sanitizer::wiping`], or tags that it freed look taken. A hypervisor's flush that answers "needs IPI" counts for
//!   nothing.
//! * A frame that is freed outside a gather without a word; a table that is walked between the load of a root and the
//!   flush that follows; entries that others of the same core left in a shared TLB.
//! * More than it remembers: `PENDING` removals of the machine, 16 flushes of ranges and 8 tags (by their low bits) of
//!   each CPU. What does not fit is not checked, and counted ([`Tally::unchecked`]) where the check is due; tags that
//!   are not remembered count as flushed. Nothing that is forgotten ever leads to a report.
//!
//! # What it costs
//! No locks, no allocation: words that their CPU alone writes, an atomic counter and two exchanges for each gather, and
//! 8 bytes of each CPU that a gather looks at. `cargo xtask counts` counts instructions on primitives that cost
//! nothing: together 30 % more for a switch to the same space, flushes and the handler; root loads and gathers cost
//! about twice and two and a half times as much. The state for 32 removals is 3968 bytes for 4 CPUs and 43392 for 64.

#[expect(unsafe_code, reason = "a platform's promises, handed on")]
mod checked;
mod cpu;
mod removal;
mod shadow;
#[cfg(all(test, not(shootdown_explore)))]
mod tests;
mod verdict;
mod words;

pub use checked::{Checked, Wrapped};
pub use shadow::{Moment, Sanitizer};
pub use verdict::{Counts, Kind, Missing, Panics, Tally, Verdict, Violation};
