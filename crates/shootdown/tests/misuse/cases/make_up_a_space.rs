//! SD-12: a space has the identity that the engine gave it.

use kernel::*;

fn main() {
    //= let space = ENGINE.new_space(0x1000, CpuMask::new()).expect("room for all CPUs");
    let space = AddressSpace::<Kernel>::new(SpaceId::new(1), 0, 0x1000, CpuMask::new(), (), 0); //~ E0624
    println!("{space:?}");
}
