//! SD-8: a flush is waited for once, by the token that it left.

use kernel::*;

fn main() {
    let user = user();
    let pending = ENGINE.send(&user, FlushRequest::all());
    pending.finish();
    //= ENGINE.send(&user, FlushRequest::all()).finish();
    pending.finish(); //~ E0382
}
