//! SD-9: a borrower keeps a user reference for as long as it borrows.

use kernel::*;

fn main() {
    let long = user();
    let borrow = {
        let short = user();
        drop(short.grab());
        //= ENGINE.borrow(&long)
        ENGINE.borrow(&short) //~ E0597
    };
    drop(borrow);
    drop(long);
}
