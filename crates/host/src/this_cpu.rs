//! Which CPU the calling thread is. All of it is thread-local, which is why none of it needs a lock or an atomic.

use crate::tlb::Tlb;
use shootdown::CpuId;
use shootdown::flush::LocalFlush;
use shootdown::tags::{OnInstall, Tag};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

thread_local! {
    static THIS_CPU: ThisCpu = const {
        ThisCpu {
            machine: Cell::new(0),
            cpu: Cell::new(0),
            irqs_on: Cell::new(true),
            in_guest: Cell::new(false),
            tlb: RefCell::new(None),
        }
    };
}

struct ThisCpu {
    /// Number of the machine, from 1; 0 while the thread belongs to none.
    machine: Cell<u64>,
    cpu: Cell<u32>,
    irqs_on: Cell<bool>,
    /// Whether guest code runs on this thread: what is loaded must stay.
    in_guest: Cell<bool>,
    tlb: RefCell<Option<Rc<RefCell<dyn Tlb>>>>,
}

/// The CPU that this thread is, of whatever machine.
pub(crate) fn attached() -> Option<CpuId> {
    THIS_CPU.with(|this_cpu| (this_cpu.machine.get() != 0).then(|| CpuId::new(this_cpu.cpu.get())))
}

/// Makes this thread a CPU of a machine.
pub(crate) fn attach(machine: u64, cpu: CpuId, tlb: Option<Rc<RefCell<dyn Tlb>>>) {
    THIS_CPU.with(|this_cpu| {
        this_cpu.cpu.set(cpu.number());
        this_cpu.irqs_on.set(true);
        *this_cpu.tlb.borrow_mut() = tlb;
        this_cpu.machine.set(machine);
    });
}

/// Undoes [`attach`].
pub(crate) fn detach() {
    THIS_CPU.with(|this_cpu| {
        this_cpu.machine.set(0);
        *this_cpu.tlb.borrow_mut() = None;
    });
}

/// The CPU of `machine` that this thread is.
///
/// # Panics
/// It is none.
#[inline]
pub(crate) fn cpu(machine: u64) -> CpuId {
    THIS_CPU.with(|this_cpu| {
        assert!(
            this_cpu.machine.get() == machine,
            "this thread is no CPU of the machine whose engine it calls: keep what Machine::virtual_cpu or Machine::helper \
             of that machine returns while you do"
        );
        CpuId::new(this_cpu.cpu.get())
    })
}

/// Sets whether interrupts are on, and says whether they were.
#[inline]
pub(crate) fn set_irqs(on: bool) -> bool {
    THIS_CPU.with(|this_cpu| this_cpu.irqs_on.replace(on))
}

/// Says whether guest code runs on this thread from now on.
pub(crate) fn set_in_guest(in_guest: bool) {
    THIS_CPU.with(|this_cpu| this_cpu.in_guest.set(in_guest));
}

/// Refuses to change what is loaded under guest code, before anything has changed.
///
/// # Panics
/// Guest code runs on this thread.
#[inline]
pub(crate) fn refuse_in_guest() {
    assert!(
        !THIS_CPU.with(|this_cpu| this_cpu.in_guest.get()),
        "this thread is inside VirtualCpu::run: return from it before you switch, go lazy, leave, borrow, load a temporary \
         space or go off line"
    );
}

/// Drops translations of this thread's TLB, if it has one.
pub(crate) fn flush(what: LocalFlush) {
    with_tlb(|tlb| tlb.flush(what));
}

/// Changes the tag under which this thread's TLB is used, if it has one.
pub(crate) fn load(tag: Tag, how: OnInstall) {
    with_tlb(|tlb| tlb.load(tag, how));
}

fn with_tlb(body: impl FnOnce(&mut dyn Tlb)) {
    THIS_CPU.with(|this_cpu| {
        debug_assert!(!this_cpu.irqs_on.get(), "the engine works on the TLB with interrupts off");
        if let Some(tlb) = &*this_cpu.tlb.borrow() {
            let mut tlb = tlb
                .try_borrow_mut()
                .expect("the engine was called while the guest's TLB was borrowed: drop it first");
            body(&mut *tlb);
        }
    });
}
