//! SD-16: a ticket is that of a flush that was sent.

use kernel::*;

fn complete(_: Ticket<Kernel>) {}

fn main() {
    //= complete(ENGINE.send_kernel(FlushRequest::all()).detach());
    complete(Ticket { next: u32::MAX, ..ENGINE.send_kernel(FlushRequest::all()).detach() }); //~ E0451
}
