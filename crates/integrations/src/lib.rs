#![doc = include_str!("../README.md")]
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
