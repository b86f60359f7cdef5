//! SD-10: the duty to unmap comes from the last user reference alone.

use kernel::*;

fn forge(held: StructRef<'static, Kernel>) -> Option<Teardown<'static, Kernel>> {
    //= held.upgrade().ok()?.put()
    Some(Teardown { held: held.held }) //~ E0616
}

fn main() {
    drop(forge(user().grab()));
}
