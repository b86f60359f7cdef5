//! SD-2: the words of a mask belong to one space.

use kernel::*;

fn words() -> &'static mut [MaskWord] {
    Vec::leak((0..3).map(|_| MaskWord::new()).collect())
}

fn main() {
    let mask = BorrowedMask::new(words());
    //= let again = BorrowedMask::new(words());
    let again = mask.clone(); //~ E0599
    drop((mask, again));
}
