//! SD-4: a generation grows with a flush that is announced to the mask.

use kernel::*;

fn main() {
    let user = user();
    //= ENGINE.flush(&user, FlushRequest::all());
    user.history.bump(); //~ E0616
}
