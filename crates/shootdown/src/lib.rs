//! Address-space lifetime and TLB coherence for kernels, hypervisors and emulators.
//!
//! # The problem
//!
//! A kernel that unmaps a page must not reuse its frame while the TLB of any CPU can still translate to it. So it asks
//! the other CPUs to flush, by IPIs, and waits: a TLB shootdown. IPIs are slow, so every kernel skips CPUs that seem
//! not to need one: lazy CPUs, CPUs that have another space loaded, spaces with one user. More than a hundred published
//! kernel bugs are a CPU that was skipped wrongly, or a wait that ended too early.
//!
//! This crate is that protocol, for any kernel. It decides who has a space loaded (the [`mask`] that CPUs join and
//! leave by themselves), which CPUs must flush, when a frame may be reused ([`flush::Gather`]), and when a space may
//! die ([`refs`]). It is `no_std`, allocates nothing, and has no assembly and no static but the counter that tells
//! engines apart.
//!
//! # A complete example
//!
//! The embedder implements [`Platform`]: TLB instructions, an IPI, and memory for each CPU.
//!
#![doc = concat!("```\n", include_str!("../examples/embed.rs"), "```")]
//!
//! # The layers
//!
//! | part | what it has |
//! |---|---|
//! | [`Shootdown`] | the engine of one machine: all verbs are its methods |
//! | [`Platform`] | what the embedder provides: all of it, lifetimes and roots |
//! | [`coherence`] | the same for those who load roots and count references themselves: six functions |
//! | [`AddressSpace`] | the engine's part of an address space; embed it in your own object |
//! | [`refs`] | user and struct references, teardown, borrows (Linux: `mm_users`, `mm_count`, `kthread_use_mm`) |
//! | [`flush`] | flush requests, gathers, tickets and retired frames (Linux: `flush_tlb_mm_range`, `mmu_gather`) |
//! | [`mask`] | sets of CPUs (Linux: `mm_cpumask`) |
//! | [`tags`] | allocators of PCIDs, ASIDs, VMIDs and context numbers |
//! | [`trace`] | counters, events, why interrupts are off, and the rules of the protocol |
//!
//! The verbs, each with an example: [`switch_to`](Shootdown::switch_to) and [`enter_lazy`](Shootdown::enter_lazy) in
//! the scheduler, [`gather`](Shootdown::gather) and [`flush`](Shootdown::flush) where entries change,
//! [`borrow`](Shootdown::borrow) in kernel threads, [`put`](refs::UserRef::put) and
//! [`Teardown::finish`](refs::Teardown::finish) at exit, [`trim`](Shootdown::trim) for idle CPUs,
//! [`kernel`](Shootdown::kernel) and [`flush_kernel`](Shootdown::flush_kernel) for kernel memory,
//! [`is_complete`](Shootdown::is_complete) where nobody can wait, [`online_cpu`](Shootdown::online_cpu) and
//! [`offline_cpu`](Shootdown::offline_cpu) for hotplug.
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `per-cpu-tags`, on by default | [`tags::PerCpuSlots`] and [`tags::GlobalOverLocal`] (x86-64, hosts), for which a [`CpuLocal`] is 384 bytes instead of 256 |
//! | `sanitizer` | the TLB sanitizer, for bring-up and debug builds |
//!
//! # Safety
//!
//! - Safe code cannot reuse a frame too early: a [`flush::Gather`] owns what was unmapped and drops it after the flush.
//!   The types refuse what would break that (a gather of another space, a frame taken out, a teardown finished twice).
//! - The promises of the embedder are numbered at [`Platform`], [`coherence::Coherence`], [`mask::MaskStore`],
//!   [`refs::SpaceHandle`] and [`tags::TagPolicy`]; these traits are `unsafe` to implement.
//! - [`trace::rules`] lists the rules of the protocol, SD-1, SD-2 and so on, each with a check that fails without it. A
//!   model checker runs every execution of this source on small machines, with its cells in place of `core`'s atomics.
//! - `CAVEATS.md` says what is not proven.
//!
//! # Links
//!
//! - Hardware parts: [`shootdown-x86_64`](https://docs.rs/shootdown-x86_64),
//!   [`shootdown-aarch64`](https://docs.rs/shootdown-aarch64),
//!   [`shootdown-riscv64`](https://docs.rs/shootdown-riscv64),
//!   [`shootdown-loongarch64`](https://docs.rs/shootdown-loongarch64),
//!   [`shootdown-sparc64`](https://docs.rs/shootdown-sparc64)
//! - In the repository: the book (`docs/book/src/SUMMARY.md`: concepts, porting, a glossary with Linux's names),
//!   `ARCHITECTURE.md`, `INVARIANTS.md`, `CAVEATS.md`
#![no_std]
// Documents are of all features; without the tags of a CPU, links to them lead nowhere.
#![cfg_attr(not(feature = "per-cpu-tags"), allow(rustdoc::broken_intra_doc_links))]
#![deny(unsafe_code)]

#[cfg(not(target_has_atomic = "64"))]
compile_error!("shootdown needs 64-bit atomics: identities and generations never wrap (SD-12)");

#[expect(unsafe_code, reason = "the embedder's promises")]
pub mod coherence;
mod counters;
mod engine;
mod enter;
mod event;
#[cfg(any(shootdown_explore, shootdown_loom, shootdown_break))]
pub mod fault;
#[cfg(not(any(shootdown_explore, shootdown_loom, shootdown_break)))]
mod fault;
pub mod flush;
mod gather;
mod handles;
mod history;
#[expect(unsafe_code, reason = "the engine's unsafe calls, all in one place")]
mod hw;
#[expect(unsafe_code, reason = "storage promises")]
pub mod mask;
mod memory;
mod misuse;
mod percpu;
#[expect(unsafe_code, reason = "the embedder's promises")]
mod platform;
#[cfg(not(shootdown_loom))]
pub mod ports;
pub mod refs;
mod retired;
#[cfg(feature = "sanitizer")]
pub mod sanitizer;
mod space;
mod switch;
mod sync;
#[expect(unsafe_code, reason = "promises of policies")]
pub mod tags;
mod this_cpu;
mod ticket;
mod trim;
mod types;
mod unwind;
mod user_mode;
mod wait;

pub use engine::{EngineError, Shootdown};
pub use percpu::CpuLocal;
pub use platform::Platform;
pub use space::AddressSpace;
#[cfg(shootdown_instrumented)]
pub use sync::instrumented::{Access, Observer, observe};
pub use types::{CpuId, SpaceId};

/// What each CPU counts, the events that a platform can trace, why the engine turns interrupts off, and the rules of
/// the protocol.
pub mod trace {
    pub mod rules;

    pub use crate::counters::Counters;
    pub use crate::event::Event;
    pub use crate::platform::IrqReason;
}

/// Hash of the sources that this was compiled from, which is compared with those of the checkout.
#[cfg(shootdown_source)]
pub const SOURCE: &str = env!("SHOOTDOWN_SOURCE");
