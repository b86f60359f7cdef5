//! SD-10: the flush that frames wait for keeps the space alive.

use kernel::*;

fn main() {
    let long = user();
    let pending;
    {
        let short = user();
        //= let user = &long;
        let user = &short; //~ E0597
        pending = ENGINE.gather::<Frame, 4>(user).send();
        drop(short.grab());
    }
    pending.finish();
    drop(long);
}
