//! SD-17: a part is announced before the next one is opened.

use kernel::*;

fn main() {
    let (a, b) = (user(), user());
    let mut batch = ENGINE.batch::<Frame, 4, 2>();
    let mut first = batch.gather(&a).expect("there is room");
    //= first.changed(PAGE);
    batch.gather(&b).expect("there is room").changed(PAGE); //~ E0499
    first.announce();
    batch.finish();
}
