//! A guest on Hyper-V: it sends no IPI, and flushes by hypercalls that name processors, for user and kernel memory alike.

use example_layers::{CPUS, Machine, page};
use shootdown::coherence::{Coherence, Coherent, FlushRemote, Hypercalls, RemoteRequest, Rootless};
use shootdown::flush::{FlushRequest, LocalFlush};
use shootdown::mask::CpuMask;
use shootdown::tags::Untagged;
use shootdown::{CpuId, CpuLocal};
use shootdown_x86_64::encode::Root;
use shootdown_x86_64::paravirt::hyperv::{FlushCall, Processors};

const USER_PAGE: u64 = 0x4000;
const KERNEL_PAGE: u64 = 0xffff_8000_0000_0000;

struct Guest(Machine);

static ENGINE: Coherent<Guest, CpuMask<1>, Untagged, Hypercalls> =
    Coherent::new(Rootless::new(Guest(Machine::new())), CpuMask::new());

// SAFETY: one thread runs all CPUs in turn, and the machine does at once what it is told; `leave` is not called.
unsafe impl Coherence for Guest {
    fn cpu(&self) -> CpuId {
        self.0.cpu()
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.0.locals[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.0.flush(None, what.request);
    }
}

// SAFETY: 1. the hypervisor has flushed on all processors of the call when it returns.
unsafe impl FlushRemote for Guest {
    fn flush_remote(&self, what: &RemoteRequest<'_>) {
        let mut processors = Processors::NONE;
        what.for_each_set(|set| processors.add(set.first(), set.bits()));
        let root = what.root.map(|root| Root::new(root).expect("roots of this guest are pages"));
        // An error names no processor: nobody holds translations.
        if let Ok(call) = FlushCall::new(root, what.request, &processors) {
            hypervisor(&self.0, call.input());
        }
    }
}

/// The other side: flushes everything on the processors of the third word of the input, a mask.
fn hypervisor(machine: &Machine, input: &[u64]) {
    for cpu in (0..CPUS as u32).filter(|cpu| input[2] >> cpu & 1 != 0) {
        machine.on(cpu, || machine.flush(None, FlushRequest::all()));
    }
}

fn main() {
    let machine = &ENGINE.platform().machine().0;
    (0..CPUS as u32).for_each(|cpu| machine.on(cpu, || ENGINE.online_cpu().expect("four fit")));
    let space = ENGINE.new_space(0x10_0000, CpuMask::new()).expect("the masks are equally large");
    for page in [USER_PAGE, KERNEL_PAGE] {
        machine.set(space.root(), page, Some(7));
    }
    for cpu in [1, 2] {
        machine.on(cpu, || {
            let entry = ENGINE.enter(&space);
            machine.load_root(space.root(), 0);
            // SAFETY: 1. and 2. that was just done; 3. the program ends with the space; 4. nothing else was called.
            unsafe { entry.loaded() };
            assert_eq!([USER_PAGE, KERNEL_PAGE].map(|page| machine.read(page)), [Some(7); 2]);
        });
    }
    let mut user = ENGINE.gather::<u64, 1>(&space);
    let mut kernel = ENGINE.kernel().gather::<u64, 1>();
    let frames = [USER_PAGE, KERNEL_PAGE].map(|page| machine.set(space.root(), page, None).expect("mapped"));
    assert!(
        user.unmapped(page(USER_PAGE), frames[0]).is_ok()
            && kernel.unmapped(page(KERNEL_PAGE), frames[1]).is_ok()
    );
    user.finish();
    assert_eq!(machine.on(1, || machine.read(USER_PAGE)), None);
    kernel.finish();
    assert_eq!([1, 2].map(|cpu| machine.on(cpu, || machine.read(KERNEL_PAGE))), [None; 2]);
    println!("user and kernel pages are gone from every processor's TLB, and no IPI was sent");
}

#[test]
fn hypercalls_reach_every_processor_that_holds_translations() {
    main();
}
