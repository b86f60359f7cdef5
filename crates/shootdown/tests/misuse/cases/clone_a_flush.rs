//! SD-8: one completion has one token.

use kernel::*;

fn main() {
    let user = user();
    let pending = ENGINE.send(&user, FlushRequest::all());
    //= let again = ENGINE.send(&user, FlushRequest::all());
    let again = pending.clone(); //~ E0599
    again.finish();
}
