//! Hardware operations of the simulated machine, and marks by which code under check tells the oracle what it gave away.
//!
//! Ordering, per memory model. TSO, after x86: root loads and flushes wait until this CPU's store buffer is empty.
//! PSO: they do not, so a protocol needs its own fence between page-table stores and what follows. A broadcast stands
//! for the whole sequence (`DSB ISHST; TLBI; DSB ISH`) and waits under both, as calls of firmware and hypervisor do. Everything else waits for nothing.
//!
//! # Kernel memory
//! Where a machine has a kernel table ([`crate::Builder::kernel_table`]), hardware caches the entry that links it, and walks the
//! table through the cached entry after the entry is gone. Hardware keeps such entries under every tag, global leaves or not
//! (Intel SDM volume 3, "Caches for Paging Structures": each entry is associated with a PCID, and INVLPG reaches those of the
//! current one alone). So no flush of a tag and no root load is taken to reach them: what drops them is a flush of kernel memory
//! that says so ([`flush_kernel`] with [`WalkCache::Drop`], after aarch64's `TLBI VAAE1`), a broadcast of that kind, or a flush
//! of everything.
//!
//! # Off line
//! A CPU that goes off line stops where it is: it halts, and its root register goes on naming what was loaded (Linux switches to
//! `init_mm` on the way, in `idle_task_exit`, for this reason). Its walker may go on, so the root and the tables below
//! it must outlive that. It answers no interrupts; whether those that were pending come when it is back depends on how it comes
//! back: an INIT clears the APIC's request register (Intel SDM volume 3, "Local APIC State After It Receives an INIT-Reset"), a
//! CPU that only halted finds them there. See [`shootdown_explore::sync::lose_interrupts`].

use crate::config::HardwareOrder;
use crate::state::Privilege;
use shootdown_explore::{Commutes, Facts, sync};

/// What a root load does to the translations already held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Install {
    /// Keeps all (x86: no-flush bit; other tagged machines: a plain write). An untagged machine flushes all the same.
    Keep,
    /// Drops what is held under the new tag.
    FlushTag,
    /// Drops what is held under any tag; kernel entries stay.
    FlushAll,
}

/// What a page flush does to cached upper levels of the tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkCache {
    /// Leaves them: a last-level flush.
    Keep,
    /// Drops them too.
    Drop,
}

/// Whose translations a broadcast drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Those under a tag, on every CPU, whichever space they belong to.
    Tag(u8),
    /// Those of a space, on every CPU, under whichever tag (a hypervisor that knows spaces).
    Space(usize),
    /// The kernel's.
    Kernel,
    /// All users', under whichever tag.
    Users,
}

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// One page, and the cached upper levels or not.
    Page(usize, WalkCache),
    /// All, cached upper levels too.
    All,
}

impl Which {
    /// Whether `page` is among them.
    pub(crate) fn covers(self, page: usize) -> bool {
        match self {
            Which::All => true,
            Which::Page(one, _) => one == page,
        }
    }
}

/// Loads the root of `space` (`None`: a root that maps no user page) under `tag`. The walker runs from here on.
#[track_caller]
pub fn install(space: Option<usize>, tag: u8, how: Install) {
    issue(Op::Install { space, tag, how });
}

/// Drops `page` under `tag` on this CPU.
#[track_caller]
pub fn flush_page(tag: u8, page: usize, walk: WalkCache) {
    issue(Op::FlushPage { tag, page, walk });
}

/// Drops all that is held under `tag` on this CPU.
#[track_caller]
pub fn flush_tag(tag: u8) {
    issue(Op::FlushTag { tag });
}

/// Drops all user translations, of every tag, on this CPU.
#[track_caller]
pub fn flush_user() {
    issue(Op::FlushUser);
}

/// Drops kernel page `page` on this CPU, and no cached link to a kernel table.
#[track_caller]
pub fn flush_kernel_page(page: usize) {
    flush_kernel(page, WalkCache::Keep);
}

/// Drops kernel page `page` on this CPU, and the cached link to its table or not, under every tag.
#[track_caller]
pub fn flush_kernel(page: usize, walk: WalkCache) {
    issue(Op::FlushKernelPage { page, walk });
}

/// Drops everything on this CPU, kernel translations too.
#[track_caller]
pub fn flush_all() {
    issue(Op::FlushAll);
}

/// Drops translations on all online CPUs at once, without interrupts.
#[track_caller]
pub fn broadcast(whose: Whose, which: Which) {
    issue(Op::Broadcast { whose, which });
}

/// Drops translations on one CPU, whoever issues it: firmware, a hypervisor or another agent acts there at once. Nothing
/// happens on a CPU that is off line.
#[track_caller]
pub fn flush_on(cpu: usize, whose: Whose, which: Which) {
    issue(Op::FlushOn { cpu, whose, which });
}

/// Drops guest page `guest` (1 and up) of the second stage on this CPU; what that does to combined entries is a fact of the machine
/// ([`crate::Builder::second_stage`]).
#[track_caller]
pub fn flush_guest_page(guest: usize) {
    issue(Op::FlushGuestPage { guest: guest.wrapping_sub(1), everywhere: false });
}

/// The same on all CPUs that are on line, at once.
#[track_caller]
pub fn broadcast_guest_page(guest: usize) {
    issue(Op::FlushGuestPage { guest: guest.wrapping_sub(1), everywhere: true });
}

/// Synchronises this CPU's context: from here on it runs code as it is in memory now or later. It orders no page walk and drops no
/// translation.
#[track_caller]
pub fn synchronise_context() {
    issue(Op::SyncContext { everywhere: false });
}

/// The same of all CPUs that are on line, at once: firmware's remote `fence.i`, or an invalidation of instruction caches that is
/// broadcast where it is followed by exceptions that synchronise.
#[track_caller]
pub fn synchronise_everywhere() {
    issue(Op::SyncContext { everywhere: true });
}

/// Runs `piece` of code, which has to be `version` by now.
#[track_caller]
pub fn execute(piece: usize, version: u64) {
    issue(Op::Execute { piece, version });
}

/// Declares `version` of kernel code `piece` obsolete: nobody may run it from now on.
#[track_caller]
pub fn obsolete(piece: usize, version: u64) {
    issue(Op::Obsolete { piece, version });
}

/// Switches the TLB of `device` on or off. Off it holds nothing, and the IOMMU translates each of its accesses.
#[track_caller]
pub fn ats(device: usize, on: bool) {
    issue(Op::Ats { device, on });
}

/// Waits until this CPU's stores have reached all page walks, its flushes are complete, and its own walks will read what it
/// has read or newer: DSB of aarch64, and what stands in its place before an interrupt is sent (MFENCE and LFENCE before a write
/// to the ICR of an x2APIC, FENCE on riscv64). Among accesses it orders nothing under weak memory, as DSB ISHST and ISHLD order half
/// at most; a protocol that wants that has a fence as well.
#[track_caller]
pub fn dsb() {
    issue(Op::Dsb);
}

/// Says that this CPU stops being run (a hypervisor has taken the virtual CPU off), or is run again. Meanwhile nothing is
/// translated on it and its walker rests, so it is not checked; it keeps what it holds.
#[track_caller]
pub fn running(on: bool) {
    issue(Op::Running { on });
}

/// Says that this CPU may use user translations from now on, or no longer does. Off with a root loaded is lazy: the
/// walker still fills.
#[track_caller]
pub fn user(on: bool) {
    issue(Op::User { on });
}

/// Says that this CPU runs kernel code from now on, or user code. To be in the kernel is to use kernel pages: what runs from a trap
/// until it has caught up with the flushes that were left to it, and uses no page but those of
/// [`crate::Builder::entry_page`], comes before. Only on a machine built with [`crate::Builder::privilege`].
#[track_caller]
pub fn privilege(privilege: Privilege) {
    issue(Op::Privilege { privilege });
}

/// Accesses user page `page` through the loaded root.
#[track_caller]
pub fn touch(page: usize) {
    issue(Op::Touch { page });
}

/// Accesses user page `page` through the loaded root, where a fault would be an error: the page was mapped, and nobody handles a
/// fault. Only on a machine built with [`crate::Builder::caches_absent`].
#[track_caller]
pub fn reach(page: usize) {
    issue(Op::Reach { page });
}

/// The same of kernel page `page`.
#[track_caller]
pub fn reach_kernel(page: usize) {
    issue(Op::ReachKernel { page });
}

/// Puts a translation into this CPU's TLB, as the miss handler of a machine without a hardware walker does. Only on a
/// machine built with [`crate::Builder::software_refill`].
#[track_caller]
pub fn insert(tag: u8, page: usize, value: u64) {
    issue(Op::Insert { tag, page, value });
}

/// Uses, in software, the frame that `value` leads to, on behalf of `space`: a lockless walk or a hypervisor that found
/// the value in the tables by itself, past any TLB. From the next step on the machine knows nothing of it: what keeps
/// the frame alive until the software is done with it is the protocol's business.
#[track_caller]
pub fn access(space: usize, value: u64) {
    issue(Op::Access { space, value });
}

/// Takes this CPU off: it halts with what it has loaded. Its TLB keeps what it holds and its walker may go on; what it holds
/// of user pages and of kernel memory is not checked, but a root or a table that it can still walk is.
#[track_caller]
pub fn offline() {
    issue(Op::Offline);
}

/// Brings this CPU back with the TLB and the root it left with. Kernel entries are not checked until it has flushed
/// everything ([`flush_all`]) or loaded a root ([`install`]), so that it can flush first; nor, where the machine knows what
/// CPUs acknowledge ([`crate::Acknowledged`]), past its acknowledgement of the latest generation of kernel memory.
#[track_caller]
pub fn online() {
    issue(Op::Online);
}

/// Gives a frame back: from now on no CPU may be able to use it.
#[track_caller]
pub fn free_frame(frame: usize) {
    issue(Op::FreeFrame { frame });
}

/// Says that `frame` was written, as [`crate::Machine::write`] does.
#[track_caller]
pub(crate) fn wrote(frame: usize) {
    issue(Op::Wrote { frame });
}

/// Gives a frame back whose content software takes for unchanged since it was read from somewhere else: it is not written
/// there before.
#[track_caller]
pub fn discard(frame: usize) {
    issue(Op::Discard { frame });
}

/// Gives a leaf table back, by its number (1 and up), or the kernel's ([`crate::Tables::kernel_table`]).
#[track_caller]
pub fn free_table(table: u64) {
    issue(Op::FreeTable { table });
}

/// Gives the root of `space` back.
#[track_caller]
pub fn free_root(space: usize) {
    issue(Op::FreeRoot { space });
}

/// Declares a translation value dead, its frame alive: after write protection, say.
#[track_caller]
pub fn revoke(value: u64) {
    issue(Op::Revoke { value });
}

/// Declares that nobody may use `page` of `space` any more: its munmap has returned.
#[track_caller]
pub fn unreachable(space: usize, page: usize) {
    issue(Op::Unreachable { space, page });
}

/// Takes [`unreachable()`] back. Only on a machine built with [`crate::Builder::remaps`].
#[track_caller]
pub fn mapped(space: usize, page: usize) {
    issue(Op::Mapped { space, page });
}

/// Declares the mappings of `space` dead, which happens once: no CPU may be in user mode there from now on.
#[track_caller]
pub fn teardown(space: usize) {
    issue(Op::Teardown { space });
}

#[track_caller]
fn issue(op: Op) {
    sync::device(op.encode());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Install { space: Option<usize>, tag: u8, how: Install },
    FlushPage { tag: u8, page: usize, walk: WalkCache },
    FlushTag { tag: u8 },
    FlushUser,
    FlushKernelPage { page: usize, walk: WalkCache },
    FlushAll,
    Broadcast { whose: Whose, which: Which },
    FlushOn { cpu: usize, whose: Whose, which: Which },
    FlushGuestPage { guest: usize, everywhere: bool },
    SyncContext { everywhere: bool },
    Execute { piece: usize, version: u64 },
    Obsolete { piece: usize, version: u64 },
    Ats { device: usize, on: bool },
    Dsb,
    Running { on: bool },
    User { on: bool },
    Privilege { privilege: Privilege },
    Touch { page: usize },
    Reach { page: usize },
    ReachKernel { page: usize },
    Insert { tag: u8, page: usize, value: u64 },
    Access { space: usize, value: u64 },
    Offline,
    Online,
    FreeFrame { frame: usize },
    Wrote { frame: usize },
    Discard { frame: usize },
    FreeTable { table: u64 },
    FreeRoot { space: usize },
    Revoke { value: u64 },
    Unreachable { space: usize, page: usize },
    Mapped { space: usize, page: usize },
    Teardown { space: usize },
}

/// Operands are bytes above the code's byte. None of them is ever near 255, so a saturated one is simply refused.
fn pack<const N: usize>(code: u8, operands: [usize; N]) -> u64 {
    operands.iter().rev().fold(0, |word, &o| word << 8 | o.min(255) as u64) << 8 | u64::from(code)
}

fn operands(whose: Whose, which: Which) -> [usize; 4] {
    let (kind, who) = match whose {
        Whose::Tag(tag) => (0, tag.into()),
        Whose::Space(space) => (1, space),
        Whose::Kernel => (2, 0),
        Whose::Users => (3, 0),
    };
    match which {
        Which::All => [kind, who, 0, 2],
        Which::Page(page, walk) => [kind, who, page, walk as usize],
    }
}

impl Op {
    /// Whether it is a mark for the oracle, which a CPU may set while its MMU is off.
    pub(crate) fn is_mark(self) -> bool {
        matches!(
            self,
            Op::FreeFrame { .. }
                | Op::Wrote { .. }
                | Op::Discard { .. }
                | Op::FreeTable { .. }
                | Op::FreeRoot { .. }
                | Op::Revoke { .. }
                | Op::Obsolete { .. }
                | Op::Unreachable { .. }
                | Op::Mapped { .. }
                | Op::Teardown { .. }
        )
    }

    /// Whether it takes translations out of TLBs and does nothing else.
    pub(crate) fn is_flush(self) -> bool {
        matches!(
            self,
            Op::FlushPage { .. }
                | Op::FlushTag { .. }
                | Op::FlushUser
                | Op::FlushKernelPage { .. }
                | Op::FlushAll
                | Op::Broadcast { .. }
                | Op::FlushOn { .. }
                | Op::FlushGuestPage { .. }
        )
    }

    pub(crate) fn encode(self) -> u64 {
        match self {
            Op::Install { space, tag, how } => {
                pack(1, [space.map_or(0, |s| s.saturating_add(1)), tag.into(), how as usize, 0])
            }
            Op::FlushPage { tag, page, walk } => pack(2, [tag.into(), page, walk as usize, 0]),
            Op::FlushTag { tag } => pack(3, [tag.into(), 0, 0, 0]),
            Op::FlushUser => pack(4, [0; 4]),
            Op::FlushKernelPage { page, walk } => pack(5, [page, walk as usize, 0, 0]),
            Op::FlushAll => pack(6, [0; 4]),
            Op::Broadcast { whose, which } => pack(7, operands(whose, which)),
            Op::FlushOn { cpu, whose, which } => {
                let [kind, who, page, walk] = operands(whose, which);
                pack(20, [kind, who, page, walk, cpu])
            }
            Op::Dsb => pack(41, [0; 4]),
            Op::Running { on } => pack(21, [on.into(), 0, 0, 0]),
            Op::FlushGuestPage { guest, everywhere } => pack(40, [guest, everywhere.into(), 0, 0]),
            Op::SyncContext { everywhere } => pack(37, [everywhere.into(), 0, 0, 0]),
            Op::Execute { piece, version } => pack(38, [piece, version as usize, 0, 0]),
            Op::Obsolete { piece, version } => pack(39, [piece, version as usize, 0, 0]),
            Op::Ats { device, on } => pack(36, [device, on.into(), 0, 0]),
            Op::User { on } => pack(8, [on.into(), 0, 0, 0]),
            Op::Privilege { privilege } => pack(35, [(privilege == Privilege::Kernel).into(), 0, 0, 0]),
            Op::Touch { page } => pack(9, [page, 0, 0, 0]),
            Op::Reach { page } => pack(31, [page, 0, 0, 0]),
            Op::ReachKernel { page } => pack(32, [page, 0, 0, 0]),
            Op::Access { space, value } => pack(30, [space, value as usize, 0, 0]),
            Op::Offline => pack(10, [0; 4]),
            Op::Online => pack(11, [0; 4]),
            Op::FreeFrame { frame } => pack(12, [frame, 0, 0, 0]),
            Op::Wrote { frame } => pack(33, [frame, 0, 0, 0]),
            Op::Discard { frame } => pack(34, [frame, 0, 0, 0]),
            Op::FreeTable { table } => pack(13, [table as usize, 0, 0, 0]),
            Op::FreeRoot { space } => pack(14, [space, 0, 0, 0]),
            Op::Revoke { value } => pack(15, [value as usize, 0, 0, 0]),
            Op::Unreachable { space, page } => pack(16, [space, page, 0, 0]),
            Op::Mapped { space, page } => pack(17, [space, page, 0, 0]),
            Op::Teardown { space } => pack(18, [space, 0, 0, 0]),
            Op::Insert { tag, page, value } => pack(19, [tag.into(), page, value as usize, 0]),
        }
    }

    pub(crate) fn decode(word: u64) -> Option<Op> {
        let byte = |n: u32| (word >> (8 * n)) as u8;
        let [a, b, c, d] = [1, 2, 3, 4].map(|n| usize::from(byte(n)));
        let walk = |n| if n == 0 { WalkCache::Keep } else { WalkCache::Drop };
        let whose = [Whose::Tag(byte(2)), Whose::Space(b), Whose::Kernel, Whose::Users].get(a).copied();
        let which = if d == 2 { Which::All } else { Which::Page(c, walk(d)) };
        Some(match byte(0) {
            1 => Op::Install {
                space: a.checked_sub(1),
                tag: byte(2),
                how: *[Install::Keep, Install::FlushTag, Install::FlushAll].get(c)?,
            },
            2 => Op::FlushPage { tag: byte(1), page: b, walk: walk(c) },
            3 => Op::FlushTag { tag: byte(1) },
            4 => Op::FlushUser,
            5 => Op::FlushKernelPage { page: a, walk: walk(b) },
            6 => Op::FlushAll,
            7 => Op::Broadcast { whose: whose?, which },
            8 => Op::User { on: a != 0 },
            9 => Op::Touch { page: a },
            10 => Op::Offline,
            11 => Op::Online,
            12 => Op::FreeFrame { frame: a },
            13 => Op::FreeTable { table: a as u64 },
            14 => Op::FreeRoot { space: a },
            15 => Op::Revoke { value: a as u64 },
            16 => Op::Unreachable { space: a, page: b },
            17 => Op::Mapped { space: a, page: b },
            18 => Op::Teardown { space: a },
            19 => Op::Insert { tag: byte(1), page: b, value: c as u64 },
            20 => Op::FlushOn { cpu: byte(5).into(), whose: whose?, which },
            21 => Op::Running { on: a != 0 },
            40 => Op::FlushGuestPage { guest: a, everywhere: b != 0 },
            37 => Op::SyncContext { everywhere: a != 0 },
            38 => Op::Execute { piece: a, version: b as u64 },
            39 => Op::Obsolete { piece: a, version: b as u64 },
            36 => Op::Ats { device: a, on: b != 0 },
            30 => Op::Access { space: a, value: b as u64 },
            31 => Op::Reach { page: a },
            32 => Op::ReachKernel { page: a },
            33 => Op::Wrote { frame: a },
            34 => Op::Discard { frame: a },
            35 => Op::Privilege { privilege: if a == 0 { Privilege::User } else { Privilege::Kernel } },
            41 => Op::Dsb,
            _ => return None,
        })
    }

    /// Whether the CPU that issues it has completed its own accesses by then.
    pub(crate) fn waits_for_own_accesses(self) -> bool {
        matches!(
            self,
            Op::Install { .. }
                | Op::FlushPage { .. }
                | Op::FlushTag { .. }
                | Op::FlushUser
                | Op::FlushKernelPage { .. }
                | Op::FlushAll
                | Op::Broadcast { .. }
        )
    }

    /// What the explorer's orderings and reductions may assume.
    ///
    /// What gives something away only ever adds to persistent ghosts, and the oracle is monotone in them: if giving away now
    /// breaks a rule, "now" is an execution; if giving away later does, so does the state that the early one leads to, for
    /// it holds the same ghosts. So its early execution loses nothing and invents nothing. Entering user mode is the same
    /// with regard to other CPUs, but a handler on this CPU may flush or leave user mode first. Everything that takes
    /// translations or rights away can mend a state and stays in its place.
    pub(crate) fn facts(self, remaps: bool, order: HardwareOrder) -> Facts {
        let (drains_tso, drains_pso, commutes) = match self {
            Op::Install { .. }
            | Op::FlushPage { .. }
            | Op::FlushTag { .. }
            | Op::FlushUser
            | Op::FlushKernelPage { .. }
            | Op::FlushAll
            | Op::FlushGuestPage { everywhere: false, .. }
            | Op::SyncContext { everywhere: false } => (true, false, Commutes::Never),
            Op::FlushGuestPage { everywhere: true, .. } | Op::SyncContext { everywhere: true } => {
                (true, true, Commutes::Never)
            }
            Op::Broadcast { .. } | Op::FlushOn { .. } | Op::Dsb | Op::Running { .. } => {
                (true, true, Commutes::Never)
            }
            Op::User { on: true } => (false, false, Commutes::Masked),
            Op::FreeFrame { .. }
            | Op::FreeTable { .. }
            | Op::FreeRoot { .. }
            | Op::Revoke { .. }
            | Op::Obsolete { .. }
            | Op::Teardown { .. } => (false, false, Commutes::Always),
            // Where pages come back, the order against `mapped` decides.
            Op::Unreachable { .. } if !remaps => (false, false, Commutes::Always),
            Op::Unreachable { .. }
            | Op::Mapped { .. }
            | Op::User { on: false }
            | Op::Privilege { .. }
            | Op::Ats { .. }
            | Op::Execute { .. }
            | Op::Touch { .. }
            | Op::Reach { .. }
            | Op::Wrote { .. }
            | Op::Discard { .. }
            | Op::ReachKernel { .. }
            | Op::Insert { .. }
            | Op::Access { .. }
            | Op::Offline
            | Op::Online => (false, false, Commutes::Never),
        };
        // A broadcast invalidation that is complete, and one that another CPU makes on request: the walks after it read what was
        // stored before it (Arm D8.17, TLBI with DSB; SBI, RFENCE).
        let reaches_walks = matches!(
            self,
            Op::Broadcast { .. } | Op::FlushOn { .. } | Op::FlushGuestPage { everywhere: true, .. }
        );
        let here = self.is_flush() && !reaches_walks;
        Facts {
            drains_tso,
            drains_pso,
            fences: match self {
                Op::Dsb => false,
                Op::Broadcast { .. } | Op::FlushGuestPage { everywhere: true, .. } => {
                    order != HardwareOrder::Barriers
                }
                _ => drains_pso,
            },
            reaches_walks,
            synchronizes: self == Op::Dsb || here && order == HardwareOrder::Flushes,
            completes: !(here && order == HardwareOrder::Barriers),
            gives: 0,
            refetches: None,
            commutes,
        }
    }
}
