//! SD-16: the engine that sent a flush knows whether it is complete.

use kernel::*;

fn main() {
    let mut ticket = ENGINE.send_kernel(FlushRequest::all()).detach();
    //= let complete = ENGINE.is_complete(&mut ticket);
    let complete = GUEST.is_complete(&mut ticket); //~ E0308
    println!("{complete:?}");
}
