#![doc = include_str!("../README.md")]
//!
//! # One engine for a whole kernel
//!
//! A page-fault handler deep in a call tree has no argument to get the engine from. `Shootdown::new` is `const`, so the
//! engine can be a `static`. A platform that is known only after boot goes into a cell that is written once:
//! `spin::Once` in a kernel, `OnceLock` here.
//!
//! ```
//! # use std::sync::OnceLock;
//! # use shootdown::mask::CpuMask;
//! # use shootdown::tags::Untagged;
//! # use shootdown::Shootdown;
//! # use shootdown_integrations::crate_interface::Linked;
//! # type Kernel = Linked<Untagged>;
//! # fn probe() -> Kernel {
//! #     // SAFETY: 1. nothing is called.
//! #     unsafe { Linked::new(Untagged) }
//! # }
//! static ENGINE: OnceLock<Shootdown<Kernel>> = OnceLock::new();
//!
//! ENGINE.get_or_init(|| Shootdown::new(probe(), CpuMask::new())); // at boot, once
//! let engine: &'static Shootdown<Kernel> = ENGINE.get().expect("set at boot"); // anywhere, later
//! # let _ = engine;
//! ```
//!
//! A crate that lies below the crate with the hardware needs no cell: its platform is `crate_interface::Linked`, which
//! the linker joins with the hardware.

#![no_std]
#![deny(unsafe_code)]

#[cfg(feature = "crate_interface")]
#[expect(unsafe_code, reason = "implements `Platform` by functions that are linked in")]
pub mod crate_interface;
#[cfg(feature = "defmt")]
pub mod defmt;
#[cfg(feature = "log")]
pub mod log;
#[cfg(feature = "page-table-generic")]
#[expect(unsafe_code, reason = "gives tables back once no CPU can walk them")]
pub mod page_table_generic;
#[cfg(feature = "page_table_multiarch")]
pub mod page_table_multiarch;
mod record;
#[cfg(feature = "tracing")]
pub mod tracing;
#[cfg(feature = "x86_64")]
pub mod x86_64;

pub use record::{Record, TARGET};
