//! SD-10: a CPU is lazy only where it can be interrupted, and so evicted.

use kernel::*;
use shootdown::coherence::{Coherence, Coherent, FlushRemote, Hypercalls, RemoteRequest, Rootless};

struct Bare([CpuLocal; 2]);

// SAFETY: there is no hardware, and nothing of this runs.
unsafe impl Coherence for Bare {
    fn cpu(&self) -> CpuId {
        CpuId::new(0)
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.0[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, _: LocalFlush) {}
}

// SAFETY: as above.
unsafe impl FlushRemote for Bare {
    fn flush_remote(&self, _: &RemoteRequest<'_>) {}
}

static MACHINE: Coherent<Bare, CpuMask<1>, Untagged, Hypercalls> =
    Coherent::new(Rootless::new(Bare([const { CpuLocal::new() }; 2])), CpuMask::new());

fn main() {
    //= MACHINE.leave();
    MACHINE.enter_lazy(); //~ E0080 elsewhere
}
