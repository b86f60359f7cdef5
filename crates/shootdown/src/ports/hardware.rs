//! Traits of the hardware.

use crate::sync::Word;
use crate::types::Levels;

/// Whether entries under the tag stay when the platform writes a root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entries {
    /// They stay (x86: CR3 with bit 63 set).
    Kept,
    /// They are dropped, with no moment in between at which the walker has the new root and the old entries (x86: CR3
    /// with bit 63 clear; elsewhere a root that maps nothing, the drop, then the new root).
    Dropped,
}

/// What a platform needs of one machine's CPUs. These verbs decide nothing: a platform decides which of them to use,
/// and in what order.
///
/// `cpu` is a number that [`this_cpu`](Self::this_cpu) gives; a root is what the root register takes, without the tag.
///
/// There is no verb to synchronise code: a kernel that asks for [contexts](crate::flush::FlushRequest::contexts) has
/// [`complete`](Self::complete) synchronise them (aarch64: its `isb`; riscv64: `fence.i`), and ends each flush and each
/// write of the root in it. The doctor examines no code.
pub trait Ports: Sync {
    /// Number of the calling CPU.
    fn this_cpu(&self) -> u32;
    /// Turns interrupts off, and says whether they were on.
    fn interrupts_off(&self) -> bool;
    /// Turns interrupts on.
    fn interrupts_on(&self);
    /// Eases a polling loop (PAUSE, YIELD). Must not block.
    fn pause(&self) {
        core::hint::spin_loop();
    }

    /// Orders this CPU's stores before the interrupts that it sends next (GICv3: `dsb ishst`; x2APIC: `mfence; lfence`;
    /// nothing where sending is itself ordered).
    fn order_before_interrupt(&self);
    /// Sends `cpu` the interrupt whose handler is [`Portable::handle_ipi`](super::Portable::handle_ipi).
    fn send_interrupt(&self, cpu: u32);

    /// Orders this CPU's page-table stores before later walks of all CPUs (aarch64: `dsb ishst`; nothing on x86).
    fn publish_tables(&self);
    /// The root that maps kernel memory alone.
    fn kernel_root(&self) -> u64;
    /// Writes the root register. In force at the latest when [`complete`](Self::complete) has returned.
    fn write_root(&self, root: u64, tag: u16, entries: Entries);
    /// Begins to drop the page that holds `address`, under a tag, on this CPU.
    fn drop_page(&self, tag: u16, address: u64, levels: Levels);
    /// Begins to drop everything under a tag, on this CPU, whatever level it is of.
    fn drop_tag(&self, tag: u16);
    /// Begins to drop the page of kernel memory that holds `address`, under all tags, on this CPU.
    fn drop_kernel_page(&self, address: u64, levels: Levels);
    /// Begins to drop everything on this CPU, kernel memory and all tags.
    fn drop_all(&self);
    /// Waits until what this CPU began to drop is gone, no access uses it any more, and the root written last is in
    /// force (aarch64: `dsb nsh; isb`; nothing on x86).
    fn complete(&self);
    /// Gives the top table of a root back.
    fn free_root(&self, root: u64);
}

/// Drops on all CPUs at once, where the machine has them (`TLBI ...IS`, INVLPGB, remote fences of firmware).
pub trait Broadcasts: Ports {
    /// Begins to drop the page that holds `address` under a tag, on all CPUs.
    fn broadcast_page(&self, tag: u16, address: u64, levels: Levels);
    /// Begins to drop everything under a tag, on all CPUs.
    fn broadcast_tag(&self, tag: u16);
    /// Begins to drop everything of all users, on all CPUs.
    fn broadcast_users(&self);
    /// Begins to drop all of kernel memory, on all CPUs.
    fn broadcast_kernel(&self);
    /// Waits until what this CPU began to drop on all CPUs is gone there, and no access uses it any more (`dsb ish`,
    /// TLBSYNC). It waits for this CPU's requests alone: stay on it in between.
    fn complete_broadcast(&self);
}

/// [`Host::vcpu`]: the hypervisor has taken the virtual CPU off (KVM: `KVM_VCPU_PREEMPTED`).
pub const HOST_PREEMPTED: u64 = 1;
/// [`Host::vcpu`]: the hypervisor is asked to flush before it runs the virtual CPU again (KVM: `KVM_VCPU_FLUSH_TLB`).
pub const HOST_FLUSHES: u64 = 2;

/// A hypervisor below, which says which virtual CPUs run, and flushes on request (KVM's steal time).
pub trait Host: Ports {
    /// The word that the hypervisor shares about `cpu`. When the hypervisor preempts the virtual CPU, it sets the word
    /// to [`HOST_PREEMPTED`]. When it runs the virtual CPU again, it exchanges the word for 0, and flushes everything
    /// of that CPU if [`HOST_FLUSHES`] was set.
    fn vcpu(&self, cpu: u32) -> &Word;
}

/// An IOMMU that shares page tables, and takes commands from a queue (VT-d: invalidation descriptors; SMMU: `CMD_TLBI_*`).
/// Commands of one CPU are carried out in the order in which they were posted.
pub trait Commands: Ports {
    /// Posts: drop the page that holds `address`, of the tables under this root.
    fn post_page(&self, root: u64, address: u64, levels: Levels);
    /// Posts: drop everything of the tables under this root, whatever level it is of.
    fn post_root(&self, root: u64);
    /// Posts: drop everything, kernel memory too.
    fn post_all(&self);
    /// Posts a command that says when those before it are done (VT-d: a wait descriptor; SMMU: `CMD_SYNC`), and tells
    /// the IOMMU. Returns the command's place: 1 or more, and higher than of all before it.
    fn post_wait(&self) -> u64;
    /// The place of the last such command that was carried out. What the IOMMU did before is over (an acquire load).
    fn carried_out(&self) -> u64;
}

/// A hypervisor below that flushes on the processors that a call names (Hyper-V).
pub trait FlushCalls: Ports {
    /// Makes the call with this control word and input, as `HvCallFlushVirtualAddressSpace` and its relatives take
    /// them; returns the status and how far it got. The input goes to a page of this CPU: stay on it, with interrupts
    /// off.
    fn flush_call(&self, control: u64, input: &[u64]) -> u64;
}
