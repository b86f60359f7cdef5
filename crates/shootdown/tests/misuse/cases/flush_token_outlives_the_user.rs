//! SD-10: a caller that waits for a flush keeps the space alive until it is over.

use kernel::*;

fn main() {
    let user = user();
    let pending = ENGINE.send(&user, FlushRequest::all());
    //= drop(user.clone());
    drop(user); //~ E0505
    pending.finish();
}
