//! `trim` asks, and does not wait for ever, on a platform whose CPUs keep their bits.

use shootdown::flush::FlushRequest;
use shootdown::flush::LocalFlush;
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

/// Polls of one wait after which the test has hung.
const FOR_EVER: u64 = 1_000;

struct Host {
    cpus: [CpuLocal; 2],
    cpu: AtomicU32,
    /// Whether CPUs handle IPIs before the test ends.
    answers: AtomicBool,
    engine: OnceLock<&'static Shootdown<Host>>,
    ipis_sent: Mutex<Vec<u32>>,
    stalls: Mutex<Vec<(u32, u64)>>,
}

// SAFETY: 1. the test sets the number, and is one thread; 2. a fixed array, and a policy without memory; 3. there are no
// interrupts and no other threads; 4. there is no TLB; 5. a CPU handles its IPI when the waiter relaxes, or after the test; 6.
// never done.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Host>;
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
        if self.answers.load(Relaxed) {
            let pending_ipis = mem::take(&mut *self.ipis_sent.lock().expect("one thread"));
            pending_ipis.into_iter().for_each(|cpu| self.handle_ipi(cpu));
        }
    }
    fn stalled(&self, cpu: CpuId, polls: u64) {
        self.stalls.lock().expect("one thread").push((cpu.number(), polls));
    }
}

impl Host {
    /// The IPI handler of CPU `cpu`.
    fn handle_ipi(&self, cpu: u32) {
        let engine = self.engine.get().expect("the engine is made first");
        let before = self.cpu.swap(cpu, Relaxed);
        // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call of the engine is at work on this one.
        unsafe { engine.handle_ipi() };
        self.cpu.store(before, Relaxed);
    }

    /// Who was reported late, and after how many polls.
    fn stalls(&self) -> Vec<(u32, u64)> {
        self.stalls.lock().expect("one thread").clone()
    }
}

type User = UserRef<'static, Host>;

fn run(engine: &'static Shootdown<Host>, cpu: u32, user: &User) {
    engine.platform().cpu.store(cpu, Relaxed);
    engine.switch_to(user);
}

/// A machine of two CPUs, of which CPU 1 has been in three spaces and runs the last, and CPU 0 runs that one.
fn machine(answers: bool) -> (&'static Shootdown<Host>, [User; 3]) {
    let platform = Host {
        cpus: [CpuLocal::new(), CpuLocal::new()],
        cpu: AtomicU32::new(0),
        answers: AtomicBool::new(answers),
        engine: OnceLock::new(),
        ipis_sent: Mutex::default(),
        stalls: Mutex::default(),
    };
    let engine: &'static Shootdown<Host> = Box::leak(Box::new(Shootdown::new(platform, CpuMask::new())));
    let host = engine.platform();
    assert!(host.engine.set(engine).is_ok());
    for cpu in 0..2 {
        host.cpu.store(cpu, Relaxed);
        engine.online_cpu().expect("it fits");
    }
    let space = |root| {
        let space = engine.new_space(root, CpuMask::new()).expect("large enough");
        engine.register(Box::leak(Box::new(space))).expect("registered once")
    };
    let users: [User; 3] = [1, 2, 3].map(|root| space(root << 12));
    users.iter().for_each(|user| run(engine, 1, user));
    run(engine, 0, &users[2]);
    (engine, users)
}

#[test]
fn a_cpu_that_does_not_answer_is_told_of_once_and_asked_no_longer() {
    let (engine, users) = machine(false);
    let host = engine.platform();
    engine.trim(&users[0]);
    assert_eq!(host.stalls(), [(1, Host::STALL_POLLS)]);
    assert_eq!(*host.ipis_sent.lock().expect("one thread"), [1, 1], "once more, as the first may be lost");
    // Its box is empty again, or there would be no place for this request, and nobody to wait for.
    engine.trim(&users[1]);
    assert_eq!(host.stalls().len(), 2);
    mem::forget(users);
}

#[test]
fn a_cpu_that_answers_is_no_member_any_more() {
    let (engine, users) = machine(true);
    let counters = engine.platform().local(CpuId::new(0)).counters();
    let looked_at = |user| {
        let before = counters.ipis_avoided();
        engine.flush(user, FlushRequest::all());
        counters.ipis_avoided() - before
    };
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (1, 1), "CPU 1 has been there");
    engine.trim(&users[0]);
    assert_eq!((looked_at(&users[0]), looked_at(&users[1])), (0, 1));
    assert_eq!(engine.platform().stalls(), []);
    mem::forget(users);
}

#[test]
fn a_cpu_that_is_off_line_is_not_waited_for() {
    let (engine, users) = machine(false);
    let host = engine.platform();
    host.cpu.store(1, Relaxed);
    engine.enter_lazy();
    engine.offline_cpu();
    host.cpu.store(0, Relaxed);
    engine.trim(&users[0]);
    assert_eq!(host.stalls(), []);
    mem::forget(users);
}
