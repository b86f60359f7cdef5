//! SD-11: a CPU that waits handles IPIs: the loop that does both is the engine's own.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.handle_ipi() };
    ENGINE.wait_for(CpuId::new(1), || true); //~ E0624
}
