//! SD-2: the words of a mask belong to one space.

use kernel::*;

fn words() -> [MaskWord; 3] {
    [const { MaskWord::new() }; 3]
}

fn main() {
    let mut words = words();
    let mask = BorrowedMask::new(&mut words);
    //= let again = BorrowedMask::new(Box::leak(Box::new(self::words())));
    let again = BorrowedMask::new(&mut words); //~ E0499
    drop((mask, again));
}
