//! SD-8: a flush whose ticket nobody keeps is one that nobody knows to be complete.

use kernel::*;

fn main() {
    //= ENGINE.wait(ENGINE.send_kernel(FlushRequest::all()).detach()).expect("this engine's");
    ENGINE.send_kernel(FlushRequest::all()).detach(); //~ "must be used"
}
