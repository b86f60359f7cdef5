//! SD-2: the engine believes what a platform says about its CPUs: that is a promise.

use kernel::*;

pub struct Rogue {
    cpus: [CpuLocal; 2],
    tags: Untagged,
}

//= unsafe impl Platform for Rogue {
impl Platform for Rogue { //~ E0200
    kernel::duties!(Untagged);
}

fn main() {}
