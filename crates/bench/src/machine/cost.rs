//! What each step costs: the one table that all policies share.

use serde::Serialize;

/// Instructions and cycles of the steps that the machine knows. The cycles decide which event comes first, how long
/// frames are held, and when the last CPU ends; the counts do not rest on them otherwise. Orders of magnitude of a
/// server of the 2020s.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Costs {
    /// Instructions for a load, a store or a read-modify-write: the access, its address, and what is done with the
    /// value.
    pub access_instructions: u64,
    /// Instructions of a full fence.
    pub fence_instructions: u64,
    /// Instructions to enter and leave an operation or a handler.
    pub call_instructions: u64,
    /// Instructions around one instruction that works on the MMU or the interrupt controller.
    pub hardware_instructions: u64,
    /// Cycles of an access that hits.
    pub hit: u64,
    /// Cycles of an access that takes the line from another CPU.
    pub transfer: u64,
    /// Cycles that a line or an IPI takes more where it crosses from one node to another.
    pub far: u64,
    /// Cycles of a fence or of the atomic part of a read-modify-write.
    pub fence: u64,
    /// Cycles to send an IPI, to one CPU or to several of a [`CLUSTER`].
    pub send: u64,
    /// Cycles until it arrives.
    pub delivery: u64,
    /// Cycles of entering and leaving an interrupt handler.
    pub interrupt: u64,
    /// Cycles that an idle CPU takes to wake up for one.
    pub wake: u64,
    /// Cycles to flush one page.
    pub flush_page: u64,
    /// Cycles to flush a tag.
    pub flush_tag: u64,
    /// Cycles to load a root.
    pub install: u64,
    /// Cycles of a page walk.
    pub walk: u64,
    /// Cycles of a broadcast invalidation, until it is complete.
    pub broadcast: u64,
}

/// The table.
pub const COSTS: Costs = Costs {
    access_instructions: 3,
    fence_instructions: 1,
    call_instructions: 8,
    hardware_instructions: 2,
    hit: 4,
    transfer: 150,
    far: 200,
    fence: 20,
    send: 200,
    delivery: 1_500,
    interrupt: 700,
    wake: 3_000,
    flush_page: 200,
    flush_tag: 400,
    install: 300,
    walk: 60,
    broadcast: 600,
};

/// CPUs that one write to the interrupt controller can interrupt at once (x2APIC in cluster mode: Intel SDM volume 3,
/// logical destination).
pub(crate) const CLUSTER: u32 = 16;

/// Cycles of a second, where a policy or a recording counts time.
pub const SECOND: u64 = 2_000_000_000;
