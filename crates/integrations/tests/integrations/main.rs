//! Each integration with the crate that it is for, on a machine of one CPU.

mod crate_interface;
mod defmt;
mod log;
mod page_table_generic;
mod page_table_multiarch;
mod support;
mod tracing;
mod x86_64;
