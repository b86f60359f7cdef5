//! What a kernel sees of its global engine. Tests share the provided one, so that one test tells its story in order.

use shootdown::Shootdown;
use shootdown::mask::CpuMask;
use shootdown::tags::Untagged;
use shootdown_adapter_rig::Machine;
use shootdown_global::{AlreadySet, Global, Missing};

shootdown_global::provide! {
    /// The engine of this program.
    static ENGINE: Machine;
}

/// A crate of its own that knows the platform's type alone.
mod deep_below {
    use shootdown_adapter_rig::Machine;

    shootdown_global::require! {
        /// The engine, wherever it is.
        pub fn engine() -> Machine;
    }

    /// Another crate that is mistaken about the platform.
    pub mod mistaken {
        use super::super::Other;
        shootdown_global::require! {
            /// The engine of a platform that nobody provides.
            pub fn engine() -> Other;
        }
    }
}

fn engine() -> Shootdown<Machine> {
    Shootdown::new(Machine::new(), CpuMask::new())
}

#[test]
#[cfg_attr(miri, ignore = "the linker finds the engine for those below, and Miri links no statics")]
fn the_provided_engine_is_found_from_below_once_it_is_set() {
    assert_eq!(deep_below::engine().err(), Some(Missing::NotSet));
    assert_eq!(deep_below::mistaken::engine().err(), Some(Missing::OtherPlatform));
    let set = ENGINE.set(engine()).expect("the first");
    let found = deep_below::engine().expect("it was set");
    assert!(std::ptr::eq(set, found));
    found.online_cpu().expect("one CPU fits");
    assert_eq!(ENGINE.get().expect("it was set").platform().take_events(), [shootdown::trace::Event::Online]);
    assert_eq!(deep_below::mistaken::engine().err(), Some(Missing::OtherPlatform));
}

#[test]
fn a_second_engine_comes_back() {
    let global = Global::new();
    global.set(engine()).expect("the first");
    let second = engine();
    second.online_cpu().expect("one CPU fits");
    let Err(AlreadySet(second)) = global.set(second) else { panic!("the place is taken") };
    assert_eq!(second.platform().take_events(), [shootdown::trace::Event::Online], "it is the second");
    assert_eq!(global.get().expect("it was set").platform().take_events(), []);
}

#[test]
fn of_threads_that_set_at_once_one_wins_and_all_find_its_engine() {
    let global = Global::new();
    let winners = std::thread::scope(|scope| {
        let set = |_| scope.spawn(|| global.set(engine()).is_ok());
        let threads: Vec<_> = (0..4).map(set).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).filter(|won| *won).count()
    });
    assert_eq!(winners, 1);
    assert!(global.get().is_ok());
}

#[test]
fn errors_say_what_to_do() {
    assert!(Missing::NotSet.to_string().contains("call set()"));
    assert!(AlreadySet(engine()).to_string().contains("already"));
    assert_eq!(format!("{:?}", Global::<Machine>::new()), "Global { set: false }");
}

/// A platform that nobody makes.
pub struct Other(Machine);

// SAFETY: 1. to 6. as the machine inside.
unsafe impl shootdown::Platform for Other {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static shootdown::AddressSpace<Self>;
    type Tags = Untagged;
    type Pin = ();
    fn pin(&self) {}
    fn cpu(&self) -> shootdown::CpuId {
        self.0.cpu()
    }
    fn local(&self, cpu: shootdown::CpuId) -> &shootdown::CpuLocal {
        self.0.local(cpu)
    }
    fn irq_save(&self, reason: shootdown::trace::IrqReason) -> bool {
        self.0.irq_save(reason)
    }
    fn irq_restore(&self, were_on: bool) {
        self.0.irq_restore(were_on);
    }
    fn tags(&self) -> &Untagged {
        &Untagged
    }
    unsafe fn flush_local(&self, what: shootdown::flush::LocalFlush) {
        // SAFETY: 1. the caller's.
        unsafe { self.0.flush_local(what) }
    }
    unsafe fn install(&self, root: Option<u64>, tag: shootdown::tags::Tag, how: shootdown::tags::OnInstall) {
        // SAFETY: 1. to 3. the caller's.
        unsafe { self.0.install(root, tag, how) }
    }
    fn send_ipi(&self, cpu: shootdown::CpuId) {
        self.0.send_ipi(cpu);
    }
    unsafe fn free_root(&self, _: &shootdown::AddressSpace<Self>) {}
    fn defer_teardown(&self, late: shootdown::refs::Teardown<'_, Self>) {
        let _ = late.into_handle();
    }
}
