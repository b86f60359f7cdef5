//! SD-3: the operations on a mask are for the engine alone.

use kernel::*;

//= use shootdown::mask::CpuMask as Members;
use shootdown::mask::Members; //~ E0603

fn main() {
    let mask = CpuMask::<1>::new();
    let _ = size_of_val(&mask) + size_of::<Members<1>>();
}
