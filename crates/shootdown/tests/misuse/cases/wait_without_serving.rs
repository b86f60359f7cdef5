//! SD-11: whoever waits serves: the loop that does both is the engine's own.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.serve() };
    ENGINE.wait_for(CpuId::new(1), || true); //~ E0624
}
