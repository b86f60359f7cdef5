//! SD-10: the space that a thread returns to must not die meanwhile.

use kernel::*;

fn main() {
    let (home, temporary) = (user(), user());
    ENGINE.switch_to(&home);
    // SAFETY: 1. `home` is put afterwards.
    //= unsafe { ENGINE.with_temporary_space(&temporary, || ()) };
    ENGINE.with_temporary_space(&temporary, || ()); //~ E0133
    drop(home);
}
