//! A kernel in one file: the crate on top makes the engine, a crate below uses it without a reference.
//!
//! Run it with `cargo run -p shootdown-global --example boot`.

use shootdown::Shootdown;
use shootdown::mask::CpuMask;
use shootdown_adapter_rig::Machine;

shootdown_global::provide! {
    /// The engine of this kernel.
    static ENGINE: Machine;
}

mod memory {
    use shootdown_adapter_rig::Machine;

    shootdown_global::require! {
        /// The kernel's engine.
        fn engine() -> Machine;
    }

    /// Deep in some call tree.
    pub fn generation() -> Result<u64, Box<dyn std::error::Error>> {
        let engine = engine()?;
        let space = engine.new_space(0x1000, shootdown::mask::CpuMask::new())?;
        engine.flush(&space, shootdown::flush::Scope::All, shootdown::flush::PageTables::Kept);
        Ok(space.generation().number())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Err(early) = memory::generation() {
        println!("before boot: {early}");
    }
    ENGINE.set(Shootdown::new(Machine::new(), CpuMask::new()))?.online_cpu()?;
    println!("after boot: generation {}", memory::generation()?);
    Ok(())
}
