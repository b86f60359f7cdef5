//! SD-6: only the engine says what a CPU has loaded and caught up with.

use kernel::*;

fn main() {
    let local = CpuLocal::new();
    //= println!("{:?}", local.counters());
    println!("{:?}", local.published); //~ E0616
}
