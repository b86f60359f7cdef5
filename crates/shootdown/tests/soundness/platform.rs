//! A correct platform of two CPUs, which one thread plays in turn; spaces go with the last that refers to them.

use crate::machine::state::{OnDefer, State};
use crate::machine::{Kind, Machine};
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::{SpaceHandle, UserRef};
use shootdown::tags::Untagged;
use shootdown::{AddressSpace, Shootdown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};

pub struct Counted;

impl Kind for Counted {
    type Mask = CpuMask<1>;
    type Handle = Arc<Object>;
    type Tags = Untagged;
    const ON_LEAVE: OnLeave = OnLeave::KeepBit;

    fn mask(_: &'static State) -> CpuMask<1> {
        CpuMask::new()
    }
}

pub type Host = Machine<Counted>;
pub type Engine = Shootdown<Host>;
pub type User<'m> = UserRef<'m, Host>;

/// The kernel's object around a space.
pub struct Object {
    space: AddressSpace<Host>,
}

// SAFETY: 1. it is one field of one allocation; 2. the `Arc` keeps it in place while a clone exists.
unsafe impl SpaceHandle<Host> for Arc<Object> {
    fn space(&self) -> &AddressSpace<Host> {
        &self.space
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
    let state = State::new(2);
    state.records.set(true);
    Shootdown::new(Machine::new(state, Untagged), CpuMask::new())
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
    let host = engine.platform();
    let loaded =
        host.log.borrow().installs.iter().map(|(_, root)| format!("install {root:?}")).collect::<Vec<_>>();
    loaded.into_iter().chain(host.freed_roots.borrow().iter().map(|root| format!("free {root}"))).collect()
}

/// Has the engine refuse a call: returns its reason. Nothing has happened by then, and interrupts are as they were.
pub fn refused<R>(engine: &Engine, call: impl FnOnce() -> R) -> String {
    let before = log(engine);
    let Err(reason) = catch_unwind(AssertUnwindSafe(call)) else { panic!("the call is not refused") };
    assert_eq!(log(engine), before, "something happened before the panic");
    assert_eq!(engine.platform().open.get(), 0, "interrupts are left off");
    reason.downcast_ref::<String>().expect("a reason").clone()
}

/// Has the platform drop the teardowns that it is handed, which it must not.
pub fn lose_deferred(engine: &Engine) {
    engine.platform().on_defer.set(OnDefer::Lose);
}
