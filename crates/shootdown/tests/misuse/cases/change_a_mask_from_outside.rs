//! SD-3: only a CPU takes itself out of a mask.

use kernel::*;

fn main() {
    let user = user();
    //= println!("{:?}", user.mask().words()[0]);
    println!("{:?}", user.mask().words()[0].0); //~ E0616
}
