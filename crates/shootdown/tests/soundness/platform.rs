//! A correct platform of two CPUs, which one thread plays in turn.

use shootdown::flush::LocalFlush;
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::{SpaceHandle, Teardown, TeardownHandle, UserRef};
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

pub type Engine = Shootdown<Host>;
pub type User<'m> = UserRef<'m, Host>;

pub struct Host {
    cpus: [CpuLocal; 2],
    cpu: Cell<u32>,
    /// How many times interrupts were turned off and not on again.
    pub masked: Cell<u32>,
    /// Whether deferred teardowns are kept, as they should be, or dropped.
    pub keeps_deferred: Cell<bool>,
    pub deferred: RefCell<Vec<TeardownHandle<Host>>>,
    pub log: RefCell<Vec<String>>,
}

/// The kernel's object around a space.
pub struct Object {
    space: AddressSpace<Host>,
}

// SAFETY: tests use one thread.
unsafe impl Sync for Host {}

// SAFETY: 1. it is one field of one allocation; 2. the `Arc` keeps it in place while a clone exists.
unsafe impl SpaceHandle<Host> for Arc<Object> {
    fn space(&self) -> &AddressSpace<Host> {
        &self.space
    }
}

// SAFETY: 1. and 2. they are elements of an array; 3. nothing interrupts the one thread; 4. nothing is cached; 5. tests that
// wait for another CPU have it handle IPIs; 6. the default.
unsafe impl Platform for Host {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = Arc<Object>;
    type Tags = Untagged;
    type Pin = ();
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        self.masked.replace(self.masked.get() + 1) == 0
    }
    fn irq_restore(&self, _: bool) {
        self.masked.set(self.masked.get() - 1);
    }
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    fn send_ipi(&self, _: CpuId) {}
    unsafe fn flush_local(&self, _: LocalFlush) {}
    unsafe fn install(&self, root: Option<u64>, _: Tag, _: OnInstall) {
        self.log.borrow_mut().push(format!("install {root:?}"));
    }
    unsafe fn free_root(&self, space: &AddressSpace<Self>) {
        self.log.borrow_mut().push(format!("free {}", space.root()));
    }
    fn defer_teardown(&self, late: Teardown<'_, Self>) {
        let handle = late.into_handle();
        if self.keeps_deferred.get() {
            self.deferred.borrow_mut().push(handle);
        }
    }
}

/// Makes an engine whose CPU 0 is on line.
pub fn engine() -> Engine {
    let engine = off_line();
    engine.online_cpu().expect("it fits");
    engine
}

/// Makes an engine of which no CPU is on line.
pub fn off_line() -> Engine {
    let host = Host {
        cpus: [const { CpuLocal::new() }; 2],
        cpu: Cell::new(0),
        masked: Cell::new(0),
        keeps_deferred: Cell::new(true),
        deferred: RefCell::default(),
        log: RefCell::default(),
    };
    Shootdown::new(host, CpuMask::new())
}

/// Makes the object around a new space.
pub fn object(engine: &Engine, root: u64) -> Arc<Object> {
    Arc::new(Object { space: engine.new_space(root, CpuMask::new()).expect("masks of one size") })
}

/// Makes a space, with a look at the memory that it lies in.
pub fn watched(engine: &Engine, root: u64) -> (User<'_>, Weak<Object>) {
    let object = object(engine, root);
    let memory = Arc::downgrade(&object);
    (engine.register(object).map_err(|(refused, _)| refused).expect("it is new"), memory)
}

/// Makes a space.
pub fn space(engine: &Engine, root: u64) -> User<'_> {
    watched(engine, root).0
}

/// Loads a space for a moment.
pub fn load_for_a_moment(engine: &Engine, user: &User<'_>) {
    // SAFETY: 1. nothing is put meanwhile.
    unsafe { engine.with_temporary_space(user, || ()) }
}

/// Goes on as CPU `cpu`.
pub fn play(engine: &Engine, cpu: u32) {
    engine.platform().cpu.set(cpu);
}

/// What was done to the hardware, and the roots that were freed.
pub fn log(engine: &Engine) -> Vec<String> {
    engine.platform().log.borrow().clone()
}

/// Has the engine refuse a call: returns its reason. Nothing has happened by then, and interrupts are as they were.
pub fn refused<R>(engine: &Engine, call: impl FnOnce() -> R) -> String {
    let before = log(engine);
    let Err(reason) = catch_unwind(AssertUnwindSafe(call)) else { panic!("the call is not refused") };
    assert_eq!(log(engine), before, "something happened before the panic");
    assert_eq!(engine.platform().masked.get(), 0, "interrupts are left off");
    reason.downcast_ref::<String>().expect("a reason").clone()
}
