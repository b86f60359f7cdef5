//! SD-6: all CPUs call the platform at once.

use kernel::*;

pub struct Rogue {
    cpus: [CpuLocal; 2],
    tags: Untagged,
    //= pub ipis_sent: std::sync::atomic::AtomicU32,
    pub ipis_sent: std::cell::Cell<u32>,
}

//= unsafe impl Platform for Rogue {
unsafe impl Platform for Rogue { //~ E0277
    kernel::duties!(Untagged);
}

fn main() {}
