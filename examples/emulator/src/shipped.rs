//! The machine on the engine as it ships.

use shootdown_host as host;

#[path = "vm/mod.rs"]
pub mod vm;
