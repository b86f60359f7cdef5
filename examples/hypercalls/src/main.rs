//! A guest on Hyper-V: it sends no IPI, and flushes by hypercalls that name processors, for user and kernel memory
//! alike.

mod platform;

use example_layers::{CPUS, Machine, page};
use platform::Guest;
use shootdown::CpuLocal;
use shootdown::coherence::{Coherent, Hypercalls, Rootless};
use shootdown::mask::CpuMask;
use shootdown::ports::{Entries, Ports as _};
use shootdown::tags::Untagged;

const USER_PAGE: u64 = 0x4000;
const KERNEL_PAGE: u64 = 0xffff_8000_0000_0000;

static MACHINE: Machine = Machine::new(|| unreachable!("no IPI is sent"));
static CPU_LOCALS: [CpuLocal; CPUS] = [const { CpuLocal::new() }; CPUS];
static ENGINE: Coherent<Guest<&'static Machine>, CpuMask<1>, Untagged, Hypercalls> =
    Coherent::new(Rootless::new(Guest { ports: &MACHINE, cpus: &CPU_LOCALS }), CpuMask::new());

fn main() {
    MACHINE.on_each(|| ENGINE.online_cpu().expect("four fit"));
    let space = ENGINE.new_space(0x10_0000, CpuMask::new()).expect("the masks are equally large");
    for page in [USER_PAGE, KERNEL_PAGE] {
        MACHINE.set(space.root(), page, Some(7));
    }
    for cpu in [1, 2] {
        MACHINE.on(cpu, || {
            let entry = ENGINE.enter(&space);
            (&MACHINE).write_root(space.root(), 0, Entries::Dropped);
            // SAFETY: 1. and 2. that was just done; 3. the program ends with the space; 4. nothing else was called.
            unsafe { entry.loaded() };
            assert_eq!([USER_PAGE, KERNEL_PAGE].map(|page| MACHINE.read(page)), [Some(7); 2]);
        });
    }
    let mut user = ENGINE.gather::<u64, 1>(&space);
    let mut kernel = ENGINE.kernel().gather::<u64, 1>();
    let frames = [USER_PAGE, KERNEL_PAGE].map(|page| MACHINE.set(space.root(), page, None).expect("mapped"));
    assert!(
        user.unmapped(page(USER_PAGE), frames[0]).is_ok()
            && kernel.unmapped(page(KERNEL_PAGE), frames[1]).is_ok()
    );
    user.finish();
    assert_eq!(MACHINE.on(1, || MACHINE.read(USER_PAGE)), None);
    kernel.finish();
    assert_eq!([1, 2].map(|cpu| MACHINE.on(cpu, || MACHINE.read(KERNEL_PAGE))), [None; 2]);
    MACHINE.on_each(|| assert_eq!(MACHINE.interrupts_taken((&MACHINE).this_cpu()), 0));
    println!("user and kernel pages are gone from every processor's TLB, and no IPI was sent");
}

#[test]
fn hypercalls_reach_every_processor_that_holds_translations() {
    main();
}
