//! SD-6: an engine without hypercalls sends IPIs.

use kernel::*;
use shootdown::coherence::{Coherence, FlushRemote, Hypercalls, Ipis, RemoteRequest, Rootless};

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

fn flush<X>(machine: Rootless<Bare, CpuMask<1>, Untagged, X>)
where
    Rootless<Bare, CpuMask<1>, Untagged, X>: Platform<Mask = CpuMask<1>>,
{
    Shootdown::new(machine, CpuMask::new()).flush_kernel(FlushRequest::all());
}

fn main() {
    let cpus = Bare([const { CpuLocal::new() }; 2]);
    //= flush::<Hypercalls>(Rootless::new(cpus));
    flush::<Ipis>(Rootless::new(cpus)); //~ E0277
}
