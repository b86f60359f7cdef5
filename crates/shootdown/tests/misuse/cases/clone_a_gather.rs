//! SD-8: frames are held in one place.

use kernel::*;

fn main() {
    let user = user();
    let gather = ENGINE.gather::<Frame, 4>(&user);
    //= let again = ENGINE.gather::<Frame, 4>(&user);
    let again = gather.clone(); //~ E0599
    again.finish();
}
