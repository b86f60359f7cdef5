//! SD-10: code that runs in a temporary space needs its mappings.

use kernel::*;

fn main() {
    let user = user();
    let pin = user.grab();
    //= ENGINE.with_temporary(&pin.upgrade().expect("there is a user"), || ());
    ENGINE.with_temporary(&pin, || ()); //~ E0308
}
