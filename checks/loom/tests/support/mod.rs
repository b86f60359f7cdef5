//! A machine of loom cells under the engine, and CPUs that run scripts on it.

mod cpu;
mod hw;
mod machine;
mod memory;

pub use cpu::Cpu;
pub use hw::{Keep, Paired, Plain, Tagged, Wide};
pub use machine::{Idle, KERNEL, Plan, TABLE, explore, explore_bounded, page};
