//! What hardware may do with page tables and TLBs, a judge that watches it, and the engine's scenarios on it.

mod case;
pub mod engine;

pub use case::{Case, Expected, Kind, Variant};
