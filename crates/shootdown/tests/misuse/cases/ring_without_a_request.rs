//! SD-6: a doorbell is rung after its request is visible.

use kernel::*;

fn main() {
    let user = user();
    //= ENGINE.flush(&user, Scope::All, Tables::Kept);
    ENGINE.ring(CpuId::new(1)); //~ E0624
    drop(user);
}
