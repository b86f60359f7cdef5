//! SD-10: a CPU is lazy only where it can be interrupted, and so evicted.

use kernel::*;
use shootdown::coherence::{Coherence, Coherent, FlushRemote, Hypercalls, RemoteRequest, Rootless};

kernel::bare!();

// SAFETY: nothing of this runs.
unsafe impl FlushRemote for Bare {
    fn flush_remote(&self, _: &RemoteRequest<'_>) {}
}

static MACHINE: Coherent<Bare, CpuMask<1>, Untagged, Hypercalls> =
    Coherent::new(Rootless::new(Bare([const { CpuLocal::new() }; 2])), CpuMask::new());

fn main() {
    //= MACHINE.leave();
    MACHINE.enter_lazy(); //~ E0080 elsewhere
}
