//! SD-9: after a borrow the thread is lazy, and its space may die.

use kernel::*;

fn main() {
    let user = user();
    let borrow = ENGINE.borrow(&user).expect("a kernel thread");
    println!("{:?}", borrow.id());
    drop(borrow);
    //= let borrow = ENGINE.borrow(&user).expect("a kernel thread");
    let borrow = borrow; //~ E0382
    println!("{:?}", borrow.id());
}
