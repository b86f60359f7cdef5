//! Cases for the simulated machine: the shipped engine in [`scenarios`], and historical [`bugs`], each as a chain of
//! protocols, broken and fixed.
//!
//! `engine/` puts the engine on the machine (platform, verbs), `scenarios/` has a file a theme, `bugs/` a folder a
//! class, and `protocols/` the code that several bugs share.

pub mod bugs;
pub mod engine;
mod protocols;
pub mod scenarios;

/// Hash of the engine's source that this was compiled from.
pub const ENGINE_SOURCE: &str = shootdown::SOURCE;
