//! SD-8: the instructions that flush need interrupts off; the engine is the one that knows.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.platform().flush_local(LocalFlush::EVERYTHING) };
    ENGINE.platform().flush_local(LocalFlush::EVERYTHING); //~ E0133
}
