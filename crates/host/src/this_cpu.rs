//! The CPUs that the calling thread is. All of it is thread-local, so it needs no lock and no atomic: whatever an
//! identity callback answers, a thread reaches only the memory of its own CPUs.

use crate::fence::Fence;
use crate::tlb::Tlb;
use shootdown::CpuId;
use shootdown::flush::LocalFlush;
use shootdown::tags::{OnInstall, Tag};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

thread_local! {
    static THREAD: OnThread = const { OnThread { seats: RefCell::new(Vec::new()), acting: RefCell::new(None) } };
}

struct OnThread {
    /// The CPUs that this thread is. More than one where an identity callback tells them apart.
    seats: RefCell<Vec<Rc<ThisCpu>>>,
    /// The one that a [`VirtualCpu`](crate::VirtualCpu) says it is, whatever the callback answers.
    acting: RefCell<Option<Rc<ThisCpu>>>,
}

/// A CPU, as its own thread sees it.
pub(crate) struct ThisCpu {
    /// Number of the machine.
    machine: u64,
    pub(crate) cpu: CpuId,
    irqs_on: Cell<bool>,
    /// Whether guest code runs on this CPU: what is loaded must stay.
    in_guest: Cell<bool>,
    /// A helper has none.
    tlb: Option<Rc<RefCell<dyn Tlb>>>,
}

/// A CPU that the calling thread is.
pub(crate) type Here = Rc<ThisCpu>;

/// Tells several CPUs of a thread apart: the virtual CPU that runs on it now, if one does.
pub(crate) type Identity = dyn Fn() -> Option<CpuId> + Send + Sync;

/// Why no CPU was found for the calling thread: the callback's answer, if it gave one.
pub(crate) struct NoCpu(Option<CpuId>);

impl NoCpu {
    /// Refuses the call.
    #[cold]
    pub(crate) fn refuse(self) -> ! {
        match self.0 {
            Some(named) => panic!(
                "MachineBuilder::identity says that this thread runs {named} now, and {named} is not attached here: attach it on \
                 this thread, and keep the callback's answer in step with the fibers"
            ),
            None => panic!(
                "this thread is no CPU of the machine whose engine it calls: keep what Machine::virtual_cpu or Machine::helper \
                 of that machine returns while you do"
            ),
        }
    }
}

/// The CPU of machine `machine` that runs the caller.
#[inline]
pub(crate) fn find(machine: u64, identity: Option<&Identity>) -> Result<Here, NoCpu> {
    THREAD.with(|thread| {
        let Some(identity) = identity else {
            let only = thread.seats.borrow().first().filter(|seat| seat.machine == machine).cloned();
            return only.ok_or(NoCpu(None));
        };
        if let Some(acting) = thread.acting.borrow().as_ref().filter(|acting| acting.machine == machine) {
            return Ok(Rc::clone(acting));
        }
        let named = identity();
        let is_it = |seat: &&Rc<ThisCpu>| {
            seat.machine == machine && named.map_or(seat.tlb.is_none(), |named| named == seat.cpu)
        };
        let found = thread.seats.borrow().iter().find(is_it).cloned();
        found.ok_or(NoCpu(named))
    })
}

/// The CPU that keeps this thread from becoming another one: any CPU, or, if an identity callback tells CPUs apart, one
/// of another machine, or a second helper.
pub(crate) fn in_the_way(machine: u64, shares: bool, helper: bool) -> Option<CpuId> {
    let blocks = |seat: &&Rc<ThisCpu>| !shares || seat.machine != machine || (helper && seat.tlb.is_none());
    THREAD.with(|thread| thread.seats.borrow().iter().find(blocks).map(|seat| seat.cpu))
}

/// Makes this thread a CPU of a machine.
pub(crate) fn attach(machine: u64, cpu: CpuId, tlb: Option<Rc<RefCell<dyn Tlb>>>) -> Here {
    let this = ThisCpu { machine, cpu, irqs_on: Cell::new(true), in_guest: Cell::new(false), tlb };
    let this = Rc::new(this);
    THREAD.with(|thread| thread.seats.borrow_mut().push(Rc::clone(&this)));
    this
}

/// Undoes [`attach`].
pub(crate) fn detach(this: &Here) {
    THREAD.with(|thread| thread.seats.borrow_mut().retain(|seat| !Rc::ptr_eq(seat, this)));
}

/// While this lives, the calling thread runs one CPU for certain.
pub(crate) struct Acting(Option<Rc<ThisCpu>>);

/// Says that the calling thread runs this CPU.
pub(crate) fn act_as(this: &Here) -> Acting {
    Acting(THREAD.with(|thread| thread.acting.replace(Some(Rc::clone(this)))))
}

impl Drop for Acting {
    fn drop(&mut self) {
        THREAD.with(|thread| thread.acting.replace(self.0.take()));
    }
}

impl ThisCpu {
    /// Sets whether interrupts are on, and says whether they were.
    #[inline]
    pub(crate) fn set_irqs(&self, on: bool) -> bool {
        self.irqs_on.replace(on)
    }

    /// Says whether guest code runs on this CPU from now on.
    pub(crate) fn set_in_guest(&self, in_guest: bool) {
        self.in_guest.set(in_guest);
    }

    /// Refuses to change what is loaded under guest code, before anything has changed.
    ///
    /// # Panics
    /// Guest code runs on this CPU.
    #[inline]
    pub(crate) fn refuse_in_guest(&self) {
        assert!(
            !self.in_guest.get(),
            "this thread is inside VirtualCpu::run: return from it before you switch, go lazy, leave, borrow, load a \
             temporary space or go off line"
        );
    }

    /// Drops translations of this CPU's TLB, if it has one.
    pub(crate) fn flush(&self, what: LocalFlush) {
        debug_assert!(!self.irqs_on.get(), "the engine works on the TLB with interrupts off");
        self.with_tlb(|tlb| tlb.flush(what));
    }

    /// Changes the tag under which this CPU's TLB is used, if it has one.
    pub(crate) fn load(&self, tag: Tag, how: OnInstall) {
        debug_assert!(!self.irqs_on.get(), "the engine works on the TLB with interrupts off");
        self.with_tlb(|tlb| tlb.load(tag, how));
    }

    /// Carries out a fence of the guest.
    pub(crate) fn fence(&self, fence: Fence) {
        self.with_tlb(|tlb| tlb.fence(fence));
    }

    /// Whether the TLB is not borrowed.
    pub(crate) fn tlb_is_free(&self) -> bool {
        self.tlb.as_ref().is_none_or(|tlb| tlb.try_borrow_mut().is_ok())
    }

    /// Has `body` work on the TLB, if there is one.
    ///
    /// # Panics
    /// It is borrowed.
    pub(crate) fn with_tlb(&self, body: impl FnOnce(&mut dyn Tlb)) {
        if let Some(tlb) = &self.tlb {
            let mut tlb = tlb
                .try_borrow_mut()
                .expect("the engine was called while the guest's TLB was borrowed: drop it first");
            body(&mut *tlb);
        }
    }
}
