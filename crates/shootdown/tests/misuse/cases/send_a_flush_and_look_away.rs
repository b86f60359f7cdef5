//! SD-8: after `send` old translations are in use until the token has been waited for.

use kernel::*;

fn main() {
    let user = user();
    //= ENGINE.send(&user, FlushRequest::all()).finish();
    ENGINE.send(&user, FlushRequest::all()); //~ "must be used"
}
