//! SD-6: an engine without hypercalls sends IPIs.

use kernel::*;
use shootdown::coherence::{Coherence, FlushRemote, Hypercalls, Ipis, RemoteRequest, Rootless};

kernel::bare!();

// SAFETY: nothing of this runs.
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
