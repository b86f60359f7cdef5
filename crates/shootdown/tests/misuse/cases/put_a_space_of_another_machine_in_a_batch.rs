//! SD-17: a batch tells the CPUs of its own machine.

use kernel::*;

fn main() {
    let (own, guests) = (user(), user_of(&GUEST));
    let mut batch = ENGINE.batch::<Frame, 4, 2>();
    //= batch.gather(&own).expect("there is room").changed(PAGE);
    batch.gather(&guests).expect("there is room").changed(PAGE); //~ E0308
    drop((own, guests));
}
