//! The engine on this kernel's platform, and what CPUs do with it.

use crate::arch::{self, MAX_CPUS};
use crate::lock::Mutex;
use crate::platform::Kernel;
use crate::space::{Process, Space};
use alloc::sync::Arc;
use core::sync::atomic::AtomicBool;
use shootdown::Shootdown;
use shootdown::mask::CpuMask;
use shootdown::refs::UserRef;

/// The engine.
pub static ENGINE: Shootdown<Kernel> = Shootdown::new(Kernel::new(), CpuMask::new());

/// Whether Linux's short cut of 2020 is in this kernel's flush path.
pub static SINGLE_USER_SHORT_CUT: AtomicBool = AtomicBool::new(false);

/// A reference that keeps a space's mappings.
pub type User = UserRef<'static, Kernel>;

/// Handles the IPI; interrupts are off.
pub fn handle_ipi() {
    // SAFETY: 1. the IPI handler runs with interrupts off; 2. so does the engine where it must not be interrupted.
    unsafe { ENGINE.handle_ipi() };
}

/// The process whose user code each CPU runs.
static LOADED: [Mutex<Option<Arc<Process>>>; MAX_CPUS] = [const { Mutex::new(None) }; MAX_CPUS];

/// Runs user code of a process from here on; the process lives until this CPU enters another or forgets it.
pub fn enter_user(process: Arc<Process>) {
    ENGINE.switch_to(process.user());
    let before = LOADED[arch::this_cpu()].lock().replace(process);
    // This CPU has left its space, so it may be the last reference.
    drop(before);
}

/// Lets go of the process whose user code ran here before a kernel thread.
pub fn forget_user() {
    let before = LOADED[arch::this_cpu()].lock().take();
    drop(before);
}

/// Runs `work` on the space of the process whose user code runs here.
pub fn with_loaded<R>(work: impl FnOnce(&Space) -> R) -> Option<R> {
    let process = LOADED[arch::this_cpu()].lock().clone()?;
    let answer = work(process.space());
    Some(answer)
}

/// Runs a kernel thread from here on, on whatever is loaded.
pub fn enter_kernel() {
    ENGINE.enter_lazy();
}

/// Runs `work` with the user memory of a space: what a kernel thread does.
///
/// # Panics
/// The caller is no kernel thread.
pub fn borrow<R>(user: &User, work: impl FnOnce() -> R) -> R {
    let borrowed = ENGINE.borrow(user).expect("kernel threads borrow");
    let answer = work();
    drop(borrowed);
    answer
}

/// Runs `work` with interrupts off.
pub fn masked<R>(work: impl FnOnce() -> R) -> R {
    let mmu = ENGINE.platform().mmu();
    let were_on = mmu.irq_save();
    let answer = work();
    mmu.irq_restore(were_on);
    answer
}
