//! SD-16: a ticket remembers which CPUs are done, so there is one of each flush.

use kernel::*;

fn main() {
    let ticket = ENGINE.send_kernel(FlushRequest::all()).detach();
    let copy = &ticket;
    //= println!("{copy:?}");
    drop(ENGINE.wait(copy.clone())); //~ E0308
    ENGINE.wait(ticket).expect("this engine's");
}
