//! What the doctor asks of a platform besides [`Platform`].

use super::hardware::Ports;
use crate::engine::Shootdown;
use crate::handles::TeardownHandle;
use crate::platform::Platform;
use crate::refs::UserRef;
use crate::space::AddressSpace;

/// A platform over ports: how to make it, and the kernel code around it that its contract mentions. Roots are numbers
/// of the ports ([`Ports::write_root`]), or made of them.
///
/// A file that `shootdown doctor` reads names its platform `PlatformUnderTest`:
///
/// ```text
/// pub type PlatformUnderTest<H> = Kernel<H>;
/// ```
pub trait Portable<H: Ports>:
    Platform<Root: TryFrom<u64> + Into<u64>, Handle = &'static AddressSpace<Self>> + 'static
{
    /// What the platform is lent: its per-CPU memory, and what its tag policy keeps. In a kernel, a static.
    type Room: Sync + 'static;
    /// Whether the machine needs the barriers among the ports. `false` where stores reach walkers and interrupt
    /// controllers in order, and drops are complete when their instruction is (x86 with an xAPIC): the doctor then
    /// looks for none.
    const NEEDS_BARRIERS: bool = true;

    /// Whether the platform loads roots. `false` where the kernel does, and the engine is its coherence layer
    /// ([`Embedded`](super::Embedded)): the doctor then looks at no load.
    const LOADS_ROOTS: bool = true;

    /// Whether the engine tells other CPUs by IPIs. `false` where a hypervisor flushes for all
    /// ([`Hypercalls`](crate::coherence::Hypercalls)): the doctor then has no CPU be lazy, and waits for no interrupt.
    const SENDS_IPIS: bool = true;

    /// Whether a space runs in user mode under a tag of its own, that of the kernel with bit 11 set (page-table
    /// isolation on x86).
    const USER_HALVES: bool = false;
    /// Whether [`unload`](Self::unload) loads the kernel's own root. `false` where kernel code never runs on a space's.
    const UNLOADS: bool = false;

    /// Whether hardware walks the page tables, at any time while a root is loaded. `false` where software does in user
    /// code alone, as a translator in guest code: a CPU in the kernel reads no table, and a thread that borrows a space
    /// uses none of its memory.
    const HARDWARE_WALKER: bool = true;

    /// Whether kernel code is preempted. The doctor then asks [`pins`](Self::pins) whether [`pin`](Platform::pin) keeps
    /// a thread on its CPU.
    const PREEMPTS: bool = false;

    /// Makes the room, with nothing in it.
    fn room() -> Self::Room;
    /// Makes the platform. A room is lent to one.
    fn new(ports: H, room: &'static Self::Room) -> Self;
    /// The handler of the interrupt that [`Ports::send_interrupt`] sends.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. it is called as [`Shootdown::handle_ipi`] must be: interrupts are off, and no step of the engine is
    ///    interrupted that has them off.
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    unsafe fn handle_ipi(engine: &Shootdown<Self>);
    /// [`Coherence::unload`](crate::coherence::Coherence::unload), where the kernel loads the roots.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. interrupts are off on this CPU, and no user code runs before a space is entered.
    #[expect(unsafe_code, reason = "whether interrupts are off cannot be seen in any type")]
    unsafe fn unload(&self) {}
    /// Has the calling CPU run user code of a space.
    fn enter_user(engine: &Shootdown<Self>, user: &UserRef<'_, Self>) {
        engine.switch_to(user);
    }
    /// Has the calling CPU run kernel code from here on.
    fn leave_user(engine: &Shootdown<Self>) {
        engine.enter_lazy();
    }
    /// The number of open spans on this CPU in which its thread is not preempted (Linux: `preempt_count`). Used if
    /// [`PREEMPTS`](Self::PREEMPTS) is set.
    fn pins(&self) -> u32 {
        0
    }
    /// Takes up one of the teardowns that [`Platform::defer_teardown`] was given, if there is any. The kernel calls it
    /// from a thread that may wait, and runs the teardown.
    fn deferred(&self) -> Option<TeardownHandle<Self>>;
}
