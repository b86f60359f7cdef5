//! `trim` asks, and does not wait for ever, on a platform whose CPUs keep their bits and never answer.

use shootdown::flush::LocalFlush;
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Polls of one wait after which the test has hung.
const FOR_EVER: u64 = 1_000;

struct Deaf {
    cpus: [CpuLocal; 2],
    cpu: AtomicU32,
    ipis_sent: Mutex<Vec<u32>>,
    stalls: Mutex<Vec<(u32, u64)>>,
}

// SAFETY: 1. the test sets the number, and is one thread; 2. a fixed array, and a policy without memory; 3. there are no
// interrupts and no other threads; 4. there is no TLB; 5. an IPI is late: its target handles it after the test; 6. never
// done.
unsafe impl Platform for Deaf {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Deaf>;
    type Tags = Untagged;
    type Pin = ();
    const STALL_POLLS: u64 = 10;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.load(Relaxed))
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    unsafe fn flush_local(&self, _: LocalFlush) {}
    unsafe fn install(&self, _: Option<u64>, _: Tag, _: OnInstall) {}
    fn send_ipi(&self, cpu: CpuId) {
        self.ipis_sent.lock().expect("one thread").push(cpu.number());
    }
    unsafe fn free_root(&self, _: &AddressSpace<Self>) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        mem::forget(teardown);
    }
    fn relax(&self, polls: u64) {
        assert!(polls < FOR_EVER, "it waits for a CPU that does not answer");
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.stalls.lock().expect("one thread").push((cpu.number(), polls));
    }
}

fn run(engine: &'static Shootdown<Deaf>, cpu: u32, user: &UserRef<'static, Deaf>) {
    engine.platform().cpu.store(cpu, Relaxed);
    engine.switch_to(user);
}

#[test]
fn a_cpu_that_does_not_answer_is_told_of_once_and_asked_no_longer() {
    let platform = Deaf {
        cpus: [CpuLocal::new(), CpuLocal::new()],
        cpu: AtomicU32::new(0),
        ipis_sent: Mutex::default(),
        stalls: Mutex::default(),
    };
    let engine: &'static Shootdown<Deaf> = Box::leak(Box::new(Shootdown::new(platform, CpuMask::new())));
    let host = engine.platform();
    for cpu in 0..2 {
        host.cpu.store(cpu, Relaxed);
        engine.online_cpu().expect("it fits");
    }
    let space = |root| {
        let space = engine.new_space(root, CpuMask::new()).expect("large enough");
        engine.register(Box::leak(Box::new(space))).expect("registered once")
    };
    let users: [UserRef<'static, Deaf>; 3] = [1, 2, 3].map(|root| space(root << 12));
    users.iter().for_each(|user| run(engine, 1, user));
    run(engine, 0, &users[2]);

    engine.trim(&users[0]);
    assert_eq!(*host.stalls.lock().expect("one thread"), [(1, Deaf::STALL_POLLS)]);
    assert_eq!(*host.ipis_sent.lock().expect("one thread"), [1, 1], "once more, as the first may be lost");
    // Its box is empty again, or there would be no place for this request, and nobody to wait for.
    engine.trim(&users[1]);
    assert_eq!(host.stalls.lock().expect("one thread").len(), 2);
    mem::forget(users);
}
