//! SD-1: that the hardware has a root loaded is the embedder's promise.

use kernel::*;

fn main() {
    let user = user();
    let entry = ENGINE.enter(&user);
    //= unsafe { entry.loaded() };
    entry.loaded(); //~ E0133
}
