//! Atomics of what CPUs share. `shootdown doctor` compiles this package with those of its machine in their place, and
//! an embedder's file that takes them from here, so that it sees each access.

pub use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence};
