//! A machine of loom cells under the engine, and CPUs that run scripts on it.

mod cpu;
mod hw;
mod machine;
mod memory;
mod scenario;

pub use cpu::Cpu;
pub use hw::{Keep, Paired, Plain, Tagged, Wide};
pub use machine::{KERNEL, Start, TABLE, page};
pub use scenario::{run_and_touch, scenario};
