use crate::plan::Plan;
use crate::world::PlatformUnderTest;
use shootdown::flush::{FlushRequest, PageRange};
use shootdown::tags::Untagged;
use shootdown_explore::Memory;
use std::any::TypeId;

/// One thing to look at.
pub(crate) struct Check<P: PlatformUnderTest> {
    pub(crate) name: &'static str,
    /// The calls that the platform gets.
    pub(crate) about: &'static str,
    /// The method that is at fault if the check fails.
    pub(crate) method: &'static str,
    /// The line of the contract that it then breaks, word for word as in the engine's source.
    pub(crate) clause: &'static str,
    pub(crate) remedy: &'static str,
    /// The method, the clause and the remedy if no CPU can go on, where that is another's fault.
    pub(crate) hang: Option<[&'static str; 3]>,
    /// Checks without which the answer would mean nothing.
    pub(crate) needs: &'static [&'static str],
    pub(crate) memories: &'static [Memory],
    /// Why the check does not apply to this platform, if it does not.
    pub(crate) unneeded: Option<&'static str>,
    pub(crate) plan: fn() -> Plan<P>,
}

/// The method, the clause and the remedy where a CPU waits for ever for the answer of another.
pub(crate) const NO_ANSWER: Option<[&str; 3]> = Some([
    "send_ipi",
    "an IPI may be late or spurious, and is never lost for good (after a stall the engine sends another)",
    "a CPU waits for another that was sent an IPI and never handled it: send one at every call, to every CPU of a set and from \
     every CPU, and have the handler call engine.handle_ipi() each time",
]);

/// The same where a method lets interrupts in that is called with them off.
pub(crate) const LEAVES_OFF: [&str; 3] = [
    "irq_save",
    "keeps interrupts that call into the engine, and preemption, away until",
    "a method that is called with interrupts off leaves them off from its first step to its last: a handler that comes in \
     between finds the engine in the middle of a switch",
];

/// Requests of each kind.
pub(crate) fn requests(range: PageRange) -> [FlushRequest; 3] {
    let pages = FlushRequest::pages(range);
    [pages, pages.tables_freed(), FlushRequest::all()]
}

/// Why no stay off the CPU is looked at, on a platform that defers nothing to its end.
pub(crate) fn no_entry<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::FLUSHES_ON_ENTRY).then_some("the platform defers no flush to a CPU's next entry (FLUSHES_ON_ENTRY)")
}

/// Why sets of CPUs are not looked at, where CPUs are interrupted one by one.
pub(crate) fn no_sets<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::MULTICAST).then_some("IPIs are sent one by one (MULTICAST)")
}

/// Why barriers are not checked, on a machine that needs none.
pub(crate) fn no_barriers<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::NEEDS_BARRIERS).then_some("the platform says that its machine needs no barriers (NEEDS_BARRIERS)")
}

/// Why loads are not checked, where the kernel makes them.
pub(crate) fn no_loads<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::LOADS_ROOTS).then_some("the embedder loads the root (LOADS_ROOTS)")
}

/// Why interrupts are not checked, where a hypervisor flushes for all CPUs and none is lazy.
pub(crate) fn no_ipis<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::SENDS_IPIS).then_some("a hypervisor flushes, no IPI is sent, and no CPU is lazy (SENDS_IPIS)")
}

/// Why borrows are not checked, where a kernel thread never uses the memory of a space.
pub(crate) fn no_borrows<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::HARDWARE_WALKER).then_some("translations are made and used in user code alone (HARDWARE_WALKER)")
}

/// Whether the platform's spaces have tags.
pub(crate) fn is_tagged<P: PlatformUnderTest>() -> bool {
    TypeId::of::<P::Tags>() != TypeId::of::<Untagged>()
}

/// Two tags under which the platform's spaces may run; without tags it is one.
pub(crate) fn tags<P: PlatformUnderTest>() -> [u8; 2] {
    if is_tagged::<P>() { [2, 1] } else { [0, 0] }
}
