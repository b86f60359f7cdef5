//! A machine of one CPU that says what is done to it, on which integrations are tried out.

use shootdown::flush::{FlushRequest, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::Event;
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::alloc::{Layout, alloc, dealloc};
use std::sync::{Mutex, PoisonError};

/// What was done to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Did {
    /// The TLB was flushed.
    Flushed(LocalFlush),
    /// The frame at this address was given back.
    Freed(u64),
}

/// The machine.
#[derive(Debug)]
pub struct Machine {
    cpu: CpuLocal,
    did: Mutex<Vec<Did>>,
    events: Mutex<Vec<Event>>,
}

// SAFETY: 1. there is one CPU; 2. and one memory for it; 3. there are no interrupts; 4. there is no TLB; 5. no IPI is sent;
// 6. the default answers "needs IPI".
unsafe impl Platform for Machine {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Self>;
    type Tags = Untagged;
    type Pin = ();

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(0)
    }
    fn local(&self, _: CpuId) -> &CpuLocal {
        &self.cpu
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        self.note(Did::Flushed(what));
    }
    unsafe fn install(&self, _: Option<u64>, _: Tag, _: OnInstall) {}
    fn send_ipi(&self, _: CpuId) {}
    unsafe fn free_root(&self, _: Self::Handle) {}
    fn defer_teardown(&self, late: Teardown<'_, Self>) {
        let _ = late.into_handle();
    }
    fn event(&self, event: Event) {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }
}

impl Machine {
    /// Makes the machine, off line.
    pub const fn new() -> Self {
        Self { cpu: CpuLocal::new(), did: Mutex::new(Vec::new()), events: Mutex::new(Vec::new()) }
    }

    fn note(&self, did: Did) {
        self.did.lock().unwrap_or_else(PoisonError::into_inner).push(did);
    }

    /// Takes what was done since the last call.
    pub fn take(&self) -> Vec<Did> {
        std::mem::take(&mut self.did.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the events since the last call.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Makes a machine's engine and a space that its CPU runs in; both last until the process ends.
pub fn running() -> (&'static Shootdown<Machine>, UserRef<'static, Machine>) {
    let engine: &'static _ = Box::leak(Box::new(Shootdown::new(Machine::new(), CpuMask::new())));
    engine.online_cpu().expect("one CPU fits");
    let space = engine.new_space(0x1000, CpuMask::new()).expect("the masks are alike");
    let user =
        engine.register(Box::leak(Box::new(space))).map_err(|(refused, _)| refused).expect("a new space");
    engine.switch_to(&user);
    engine.platform().take();
    (engine, user)
}

const TABLE: Layout = match Layout::from_size_align(4096, 4096) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

/// Gives memory of the host to a table, and its address, which is the frame's too.
pub fn new_table() -> usize {
    // SAFETY: the layout is not empty.
    unsafe { alloc(TABLE) }.expose_provenance()
}

/// Takes the memory of a table back.
///
/// # Safety
/// The caller must ensure that:
/// 1. `new_table` made it, and nobody uses it any more.
pub unsafe fn free_table(address: usize) {
    // SAFETY: 1. it has this layout.
    unsafe { dealloc(std::ptr::with_exposed_provenance_mut(address), TABLE) };
}

/// One page, as the engine has it.
pub fn page(address: u64, size: PageSize) -> PageRange {
    PageRange::new(VirtAddr(address), 1, size).expect("an aligned address")
}

/// A frame that says when it is given back.
#[derive(Debug)]
pub struct Frame(pub u64, pub &'static Machine);

impl Drop for Frame {
    fn drop(&mut self) {
        self.1.note(Did::Freed(self.0));
    }
}

/// The flush of a range.
pub fn flushed(request: FlushRequest) -> Did {
    Did::Flushed(LocalFlush { tag: Some(Tag::NONE), request })
}
