//! A [`Platform`](shootdown::Platform) for emulators and hypervisors in user space: virtual CPUs are threads, their
//! TLBs are tables of theirs, and an IPI is a flag that a virtual CPU polls between guest instructions.
//!
//! An emulator that unmaps a page of its guest, to reuse the frame, must not reuse it while another virtual CPU's soft
//! TLB can still translate to it. This is the same problem that a kernel has. The [engine](shootdown) solves it, and
//! this package connects an emulator to the engine.
//!
//! - A [`Machine`] is the engine with its CPUs. It dereferences to the engine, whose gathers and flushes are called as
//!   they are.
//! - A thread becomes a [`VirtualCpu`], runs guest code by [`run`](VirtualCpu::run), and polls. Outside `run` no flush
//!   waits for it: flushes skip it, and it drops what it missed when it comes back, by range if the engine still
//!   remembers the ranges.
//! - A thread that unmaps without being a virtual CPU is a [`Helper`].
//! - [`SoftTlb`] is a TLB; anything else that is flushed as one can take its place ([`Tlb`]).
//! - A guest's own fences reach the [`Harts`] that it names.
//! - [`MachineBuilder`] has hooks for embedders that poll a word of their own, run virtual CPUs as fibers of one
//!   thread, or sleep in their own way.
//!
//! While you write your emulator, [`MachineBuilder::sanitized`] makes a machine that watches itself. If a virtual CPU
//! may still use a frame when it is freed, a finding names the caller that freed it and the flush that was missing.
//!
//! While you wait for a flush, do not hold a lock that a virtual CPU may wait for in guest code, where it does not
//! poll. Send the flush under the lock and wait for it after you release the lock:
//! [`Gather::send`](shootdown::flush::Gather::send).
//!
//! # Example
//!
//! Two virtual CPUs read a page over and over while the host moves it from frame to frame. The old frame is overwritten
//! at once, and neither virtual CPU ever sees that.
//!
//! ```
//! use shootdown_host::shootdown::flush::{PageRange, VirtAddr};
//! use shootdown_host::shootdown::CpuId;
//! use shootdown_host::{Leaf, Machine, Poll, SoftTlb};
//! use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::{Acquire, Relaxed, Release}};
//!
//! let frames: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
//! let page = VirtAddr(0x8000_0000);
//! let table = AtomicUsize::new(0); // the page table: which frame `page` is in
//! frames[0].store(42, Relaxed);
//!
//! let machine = Machine::<u64>::new(2)?;
//! let space = machine.new_space(0);
//! std::thread::scope(|threads| {
//!     for number in 0..2 {
//!         let (machine, space, frames, table) = (&machine, &space, &frames, &table);
//!         threads.spawn(move || {
//!             let mut cpu = machine.virtual_cpu(number, SoftTlb::new(64)).expect("a free CPU");
//!             cpu.run(space, |guest| {
//!                 while guest.poll() == Poll::Continue {
//!                     let walk = |_root| Some(Leaf::page(table.load(Acquire)));
//!                     let frame = guest.translate(page, walk).expect("it is mapped");
//!                     assert_eq!(frames[frame].load(Relaxed), 42, "a frame that is somebody else's");
//!                 }
//!             });
//!         });
//!     }
//!     let _me = machine.helper().expect("a free seat");
//!     for next in 1..8 {
//!         frames[next].store(42, Relaxed);
//!         let old = table.swap(next, Release);
//!         let mut gather = machine.gather::<usize, 1>(&space);
//!         gather.unmapped(PageRange::page(page), old).expect("room for one");
//!         gather.send().finish_with(|frame| frames[frame].store(0xdead, Relaxed));
//!     }
//!     (0..2).for_each(|number| machine.call_out(CpuId::new(number)));
//! });
//! # Ok::<(), shootdown_host::BuildError>(())
//! ```
//!
//! `examples/emulator` in the repository is a machine of four RISC-V harts made of the same parts, `examples/jit` a
//! translator whose harts are fibers.

mod builder;
mod error;
mod fence;
mod fence_box;
mod guest_code;
mod harts;
mod host;
mod ipi;
mod machine;
mod poll_word;
mod sanitized;
mod sleeper;
mod space;
pub mod sync;
mod this_cpu;
mod tlb;
mod vcpu;

pub use builder::MachineBuilder;
pub use error::{AttachError, BuildError};
pub use fence::Fence;
pub use harts::{Harts, NoSuchHart};
pub use host::{Host, Hosted, Mask};
pub use machine::{Helper, Machine};
pub use poll_word::PollWord;
pub use sanitized::Sanitized;
pub use shootdown;
pub use space::SpaceHandle;
pub use tlb::{Leaf, SoftTlb, Tlb};
pub use vcpu::{Guest, Poll, VirtualCpu};

/// Most CPUs of a machine, virtual ones and helpers together.
pub const MAX_CPUS: usize = 256;

/// Spaces of which a CPU keeps translations while it runs another.
pub const TAGS: usize = 6;
