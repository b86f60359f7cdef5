//! Secondary TLBs on the coherence layer.

use shootdown::coherence::{
    Coherence, Coherent, FlushRemote, Hypercalls, RemoteRequest, Rootless, SecondaryRequest, SendIpis,
};
use shootdown::flush::{FlushRequest, LocalFlush};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::tags::Untagged;
use shootdown::{CpuId, CpuLocal};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One CPU, and a device that works its queue off at the sixth poll of a wait.
#[derive(Default)]
struct OneCpu {
    local: CpuLocal,
    posted: Mutex<Vec<SecondaryRequest>>,
    done: AtomicU64,
    late: Mutex<Vec<(u64, u64)>>,
}

// SAFETY: 1. to 4. there is one CPU, without a TLB; 5. and without a root; 6. what was posted is counted.
unsafe impl Coherence for OneCpu {
    const SECONDARY_TLBS: bool = true;
    const STALL_POLLS: u64 = 4;

    fn cpu(&self) -> CpuId {
        CpuId::new(0)
    }
    fn local(&self, _: CpuId) -> &CpuLocal {
        &self.local
    }
    fn irq_save(&self) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, _: LocalFlush) {}
    fn invalidate_secondary(&self, what: &SecondaryRequest) -> u64 {
        let mut posted = self.posted.lock().unwrap();
        posted.push(*what);
        posted.len() as u64
    }
    fn secondary_is_done(&self, position: u64) -> bool {
        self.done.load(Relaxed) >= position
    }
    fn secondary_stalled(&self, position: u64, polls: u64) {
        self.late.lock().unwrap().push((position, polls));
    }
    fn relax(&self, polls: u64) {
        assert!(polls < 100, "a wait goes on for ever");
        if polls == 6 {
            self.done.store(self.posted.lock().unwrap().len() as u64, Relaxed);
        }
    }
}

// SAFETY: 1. there is no other CPU.
unsafe impl SendIpis for OneCpu {
    fn send_ipis(&self, _: CpuSet) {}
}

#[test]
fn a_machine_that_loads_no_roots_posts_flushes_and_waits_for_its_device() {
    let engine: Coherent<OneCpu> = Coherent::new(Rootless::new(OneCpu::default()), CpuMask::new());
    engine.online_cpu().unwrap();
    let space = engine.new_space(0x1000, CpuMask::new()).unwrap();
    let machine = engine.platform().machine();
    let all = FlushRequest::all();

    let mut ticket = engine.send(&space, all).detach();
    assert_eq!(engine.is_complete(&mut ticket), Ok(false));
    engine.flush_kernel(all);
    assert_eq!(engine.is_complete(&mut ticket), Ok(true));
    let of_space = SecondaryRequest { space: Some(space.id()), root: Some(0x1000), request: all };
    let of_kernel = SecondaryRequest { space: None, root: None, request: all };
    assert_eq!(*machine.posted.lock().unwrap(), [of_space, of_kernel]);
    assert_eq!(*machine.late.lock().unwrap(), [(2, 4)]);
}

// SAFETY: 1. there is no TLB.
unsafe impl FlushRemote for OneCpu {
    fn flush_remote(&self, _: &RemoteRequest<'_>) {}
}

#[test]
fn a_guest_waits_for_the_device_when_its_hypervisor_has_flushed_kernel_memory() {
    let rootless = Rootless::new(OneCpu::default());
    let engine: Coherent<OneCpu, CpuMask<1>, Untagged, Hypercalls> = Coherent::new(rootless, CpuMask::new());
    engine.online_cpu().unwrap();
    let mut ticket = engine.send_kernel(FlushRequest::all()).detach();
    assert_eq!(engine.is_complete(&mut ticket), Ok(false));
    assert_eq!(engine.wait(ticket), Ok(()));
    assert_eq!(engine.platform().machine().done.load(Relaxed), 1);
}
