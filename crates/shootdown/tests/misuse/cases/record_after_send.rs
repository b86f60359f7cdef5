//! SD-8: a flush that was sent covers nothing that is recorded later.

use kernel::*;

fn main() {
    let user = user();
    let mut gather = ENGINE.gather::<Frame, 4>(&user);

    gather.changed(PAGE);
    let pending = gather.send();
    //= ENGINE.gather::<Frame, 4>(&user).changed(PAGE);
    gather.changed(PAGE); //~ E0382
    pending.finish();
}
