//! How `shootdown doctor` makes the platform that ships, on riscv64. `shootdown_riscv64::exec` is then a simulated
//! machine's; what stands here is the rest of the kernel, as far as the platform asks for it.

#[path = "src/platform.rs"]
pub mod platform;

use platform::Kernel;
use shootdown::Shootdown;
use shootdown::ports::{Deferred, Portable, Ports};
use shootdown::refs::TeardownHandle;

#[path = "src/arch/riscv64/mmu.rs"]
mod mmu;

mod arch {
    use shootdown_riscv64::encode::{Harts, send_ipi as call};
    use shootdown_riscv64::{exec, simulated_hart};

    pub use super::mmu::{Mmu, Root, mmu, root_address};

    pub const MAX_CPUS: usize = 64;

    pub fn this_cpu() -> usize {
        simulated_hart() as usize
    }

    /// The kernel writes to a device of the machine; the simulated one has the firmware's call.
    pub fn send_ipi(cpu: usize) {
        let hart = Harts::Mask { mask: 1, base: cpu as u64 };
        // SAFETY: 1. supervisor mode; 2. an interrupt changes no memory.
        unsafe { exec::sbi_call(call(hart)) };
    }

    pub fn yield_now() {}
}

/// The doctor's machine says itself what is stale.
mod findings {
    use super::arch::MAX_CPUS;
    use shootdown::sanitizer::{Sanitizer, Verdict, Violation};

    pub const WATCHES: bool = true;

    pub struct Silent;

    impl Verdict for Silent {
        fn violated(&self, _: &Violation) {}
    }

    pub fn shadow() -> Option<&'static Sanitizer<Silent, MAX_CPUS, 256>> {
        None
    }

    pub fn reused(_: u64) {}
}

mod space {
    use super::{DEFERRED, Kernel};
    use shootdown::AddressSpace;
    use shootdown::refs::TeardownHandle;

    pub type SpaceRef = &'static AddressSpace<Kernel>;

    pub fn free_root(root: u64) {
        shootdown_riscv64::simulated_free_root(root);
    }

    pub fn defer(late: TeardownHandle<Kernel>) {
        assert!(DEFERRED.put(late).is_ok(), "more deferred teardowns than there is room for");
    }
}

static DEFERRED: Deferred<Kernel, 4> = Deferred::new();

/// The platform that the doctor examines.
pub type PlatformUnderTest = Kernel;

impl<H: Ports> Portable<H> for Kernel {
    type Room = ();
    /// Stores reach walkers and harts in the order in which `sfence.vma` and the call of the firmware take them.
    const NEEDS_BARRIERS: bool = false;

    fn room() {}
    fn new(_: H, (): &'static ()) -> Self {
        Self::new()
    }
    unsafe fn handle_ipi(engine: &Shootdown<Self>) {
        // SAFETY: 1. and 2. the caller's.
        unsafe { engine.handle_ipi() };
    }
    fn deferred(&self) -> Option<TeardownHandle<Self>> {
        DEFERRED.take()
    }
}
