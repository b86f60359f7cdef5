//! A machine of 16 CPUs under the engine, on which kernels act at random.

mod hw;
mod kernel;
mod oracle;
mod run;

pub use hw::{Kept, Kind, OneTag, Plain, Tagged};
pub use run::explore;
