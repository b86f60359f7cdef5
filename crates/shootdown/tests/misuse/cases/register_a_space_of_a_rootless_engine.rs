//! SD-10: where the engine loads no roots there is no handle, and so no reference that it would load.

use kernel::*;
use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis};

kernel::bare!();

// SAFETY: nothing of this runs.
unsafe impl SendIpis for Bare {
    fn send_ipis(&self, _: CpuSet) {}
}

static MACHINE: Coherent<Bare> =
    Coherent::new(Rootless::new(Bare([const { CpuLocal::new() }; 2])), CpuMask::new());

fn main() {
    let space = MACHINE.new_space(0, CpuMask::new()).expect("the masks are equally large");
    let space: &'static _ = Box::leak(Box::new(space));
    //= MACHINE.retire(space);
    drop(MACHINE.register(space)); //~ E0308
}
