//! Hardware operations of the simulated machine, and marks by which code under check tells the oracle what it has
//! freed.
//!
//! Ordering, per memory model. TSO, after x86: root loads and flushes wait until this CPU's store buffer is empty.
//! PSO: they do not, so a protocol needs its own fence between page-table stores and what follows. A broadcast stands
//! for the whole sequence (`DSB ISHST; TLBI; DSB ISH`) and waits under both, as calls of firmware and hypervisor do.
//! Everything else waits for nothing.
//!
//! # Kernel memory
//! Where a machine has a kernel table ([`crate::Builder::kernel_table`]), hardware caches the entry that links it, and
//! walks the table through the cached entry after the entry is gone. Hardware keeps such entries under every tag,
//! global leaves or not (Intel SDM volume 3, "Caches for Paging Structures": each entry is associated with a PCID, and
//! INVLPG reaches those of the current one alone). So no flush of a tag and no root load is taken to reach them: what
//! drops them is a flush of kernel memory that says so ([`flush_kernel`] with [`WalkCache::Drop`], after aarch64's
//! `TLBI VAAE1`), a broadcast of that kind, or a flush of everything.
//!
//! # Off line
//! A CPU that goes off line stops where it is: it halts, and its root register goes on naming what was loaded (Linux
//! switches to `init_mm` on the way, in `idle_task_exit`, for this reason). Its walker may go on, so the root and the
//! tables below it must outlive that. It answers no interrupts; whether those that were pending come when it is back
//! depends on how it comes back: an INIT clears the APIC's request register (Intel SDM volume 3, "Local APIC State
//! After It Receives an INIT-Reset"), a CPU that only halted finds them there. See
//! [`shootdown_explore::sync::lose_interrupts`].

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

/// Makes the operations: of each row a function that issues it, its variant of [`Op`] with the same operands, and both
/// directions of the word by which the explorer knows it, which begins with the row's number.
macro_rules! operations {
    ($($(#[$about:meta])* $visible:vis fn $function:ident = $code:literal $variant:ident $({ $($operand:ident: $type:ty),+ })?;)+) => {
        $(
            $(#[$about])*
            #[track_caller]
            $visible fn $function($($($operand: $type),+)?) {
                sync::device(Op::$variant $({ $($operand),+ })?.encode());
            }
        )+

        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Op {
            $($variant $({ $($operand: $type),+ })?,)+
        }

        impl Op {
            pub(crate) fn encode(self) -> u64 {
                match self {
                    $(Op::$variant $({ $($operand),+ })? => word($code, &[$($($operand.byte()),+)?]),)+
                }
            }

            pub(crate) fn decode(word: u64) -> Option<Op> {
                let [code, operands @ ..] = word.to_le_bytes();
                let mut operands = operands.into_iter();
                Some(match code {
                    $($code => Op::$variant $({ $($operand: Operand::of(operands.next()?)?),+ })?,)+
                    _ => return None,
                })
            }
        }
    };
}

operations! {
    /// Loads the root of `space` (`None`: a root that maps no user page) under `tag`. The walker runs from here on.
    pub fn install = 1 Install { space: Option<usize>, tag: u8, how: Install };
    /// Drops `page` under `tag` on this CPU.
    pub fn flush_page = 2 FlushPage { tag: u8, page: usize, walk: WalkCache };
    /// Drops all that is held under `tag` on this CPU.
    pub fn flush_tag = 3 FlushTag { tag: u8 };
    /// Drops all user translations, of every tag, on this CPU.
    pub fn flush_user = 4 FlushUser;
    /// Drops kernel page `page` on this CPU, and the cached link to its table or not, under every tag.
    pub fn flush_kernel = 5 FlushKernelPage { page: usize, walk: WalkCache };
    /// Drops everything on this CPU, kernel translations too.
    pub fn flush_all = 6 FlushAll;
    /// Drops translations on all online CPUs at once, without interrupts.
    pub fn broadcast = 7 Broadcast { whose: Whose, which: Which };
    /// Drops translations on one CPU, which may be another one than the caller: firmware, a hypervisor or another agent
    /// acts there at once. Nothing happens on a CPU that is off line.
    pub fn flush_on = 8 FlushOn { cpu: usize, whose: Whose, which: Which };
    fn flush_guest = 9 FlushGuestPage { guest: usize, everywhere: bool };
    fn synchronise = 10 SyncContext { everywhere: bool };
    /// Runs `piece` of code, which has to be `version` by now.
    pub fn execute = 11 Execute { piece: usize, version: u64 };
    /// Declares `version` of kernel code `piece` obsolete: no CPU may run it from now on.
    pub fn obsolete = 12 Obsolete { piece: usize, version: u64 };
    /// Switches the TLB of `device` on or off. Off it holds nothing, and the IOMMU translates each of its accesses.
    pub fn ats = 13 Ats { device: usize, on: bool };
    /// Waits until this CPU's stores have reached all page walks, its flushes are complete, and its own walks will read
    /// what it has read or newer: DSB of aarch64, and what stands in its place before an interrupt is sent (MFENCE and
    /// LFENCE before a write to the ICR of an x2APIC, FENCE on riscv64). Among accesses it orders nothing under weak
    /// memory, as DSB ISHST and ISHLD order half at most; a protocol that wants that has a fence as well.
    pub fn dsb = 14 Dsb;
    /// Says that this CPU stops being run (a hypervisor has taken the virtual CPU off), or is run again. Meanwhile
    /// nothing is translated on it and its walker rests, so it is not checked; it keeps what it holds.
    pub fn running = 15 Running { on: bool };
    /// Says that this CPU may use user translations from now on, or no longer does. Off with a root loaded is lazy: the
    /// walker still fills.
    pub fn user = 16 User { on: bool };
    /// Says that this CPU runs kernel code from now on, or user code. A CPU in the kernel may use kernel pages. Say so
    /// only when the CPU has caught up with the flushes that were left to it; until then, from the trap on, it may use
    /// only the pages of [`crate::Builder::entry_page`]. Only on a machine built with [`crate::Builder::privilege`].
    pub fn privilege = 17 Privilege { privilege: Privilege };
    /// Accesses user page `page` through the loaded root.
    pub fn touch = 18 Touch { page: usize };
    /// Accesses user page `page` through the loaded root, where a fault would be an error: the page was mapped, and no
    /// handler exists. Only on a machine built with [`crate::Builder::caches_absent`].
    pub fn reach = 19 Reach { page: usize };
    /// The same of kernel page `page`.
    pub fn reach_kernel = 20 ReachKernel { page: usize };
    /// Puts a translation into this CPU's TLB, as the miss handler of a machine without a hardware walker does. Only on
    /// a machine built with [`crate::Builder::software_refill`].
    pub fn insert = 21 Insert { tag: u8, page: usize, value: u64 };
    /// Uses, in software, the frame that `value` leads to, on behalf of `space`: a lockless walk or a hypervisor that
    /// found the value in the tables by itself, past any TLB. From the next step on the machine does not track it: the
    /// protocol itself must keep the frame alive until the software is done with it.
    pub fn access = 22 Access { space: usize, value: u64 };
    /// Takes this CPU off: it halts with what it has loaded. Its TLB keeps what it holds and its walker may go on; what
    /// it holds of user pages and of kernel memory is not checked, but a root or a table that it can still walk is.
    pub fn offline = 23 Offline;
    /// Brings this CPU back with the TLB and the root it left with. Kernel entries are not checked until it has flushed
    /// everything ([`flush_all`]) or loaded a root ([`install`]), so that it can flush first; nor, where the machine
    /// knows what CPUs acknowledge ([`crate::Acknowledged`]), past its acknowledgement of the latest generation of
    /// kernel memory.
    pub fn online = 24 Online;
    /// Gives a frame back: from now on no CPU may be able to use it.
    pub fn free_frame = 25 FreeFrame { frame: usize };
    /// Says that `frame` was written, as [`crate::Machine::write`] does.
    pub(crate) fn wrote = 26 Wrote { frame: usize };
    /// Frees a frame without writing it back: software takes its content to be unchanged since it was read from
    /// elsewhere.
    pub fn discard = 27 Discard { frame: usize };
    /// Gives a leaf table back, by its number (1 and up), or the kernel's ([`crate::Tables::kernel_table`]).
    pub fn free_table = 28 FreeTable { table: u64 };
    /// Gives the root of `space` back.
    pub fn free_root = 29 FreeRoot { space: usize };
    /// Declares a translation value dead while its frame stays alive: after write protection, say.
    pub fn revoke = 30 Revoke { value: u64 };
    /// Declares that no CPU may use `page` of `space` any more: its munmap has returned.
    pub fn unreachable = 31 Unreachable { space: usize, page: usize };
    /// Takes [`unreachable()`] back. Only on a machine built with [`crate::Builder::remaps`].
    pub fn mapped = 32 Mapped { space: usize, page: usize };
    /// Declares the mappings of `space` dead, which happens once: no CPU may be in user mode there from now on.
    pub fn teardown = 33 Teardown { space: usize };
}

/// Drops kernel page `page` on this CPU, and no cached link to a kernel table.
#[track_caller]
pub fn flush_kernel_page(page: usize) {
    flush_kernel(page, WalkCache::Keep);
}

/// Drops guest page `guest` (1 and up) of the second stage on this CPU; what that does to combined entries is a fact of
/// the machine ([`crate::Builder::second_stage`]).
#[track_caller]
pub fn flush_guest_page(guest: usize) {
    flush_guest(guest.wrapping_sub(1), false);
}

/// The same on all CPUs that are on line, at once.
#[track_caller]
pub fn broadcast_guest_page(guest: usize) {
    flush_guest(guest.wrapping_sub(1), true);
}

/// Synchronises this CPU's context: from here on it runs code as it is in memory now or later. This orders no page walk
/// and drops no translation.
#[track_caller]
pub fn synchronise_context() {
    synchronise(false);
}

/// The same of all CPUs that are on line, at once: firmware's remote `fence.i`, or an invalidation of instruction
/// caches that is broadcast where it is followed by exceptions that synchronise.
#[track_caller]
pub fn synchronise_everywhere() {
    synchronise(true);
}

fn word(code: u8, operands: &[u8]) -> u64 {
    operands.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)) << 8 | u64::from(code)
}

/// What takes a byte of an operation's word. No number is ever near the largest, so a saturated one is simply refused.
trait Operand: Sized {
    fn byte(self) -> u8;
    fn of(byte: u8) -> Option<Self>;
}

impl Operand for u8 {
    fn byte(self) -> u8 {
        self
    }
    fn of(byte: u8) -> Option<Self> {
        Some(byte)
    }
}

impl Operand for u64 {
    fn byte(self) -> u8 {
        self.min(255) as u8
    }
    fn of(byte: u8) -> Option<Self> {
        Some(byte.into())
    }
}

impl Operand for usize {
    fn byte(self) -> u8 {
        self.min(255) as u8
    }
    fn of(byte: u8) -> Option<Self> {
        Some(byte.into())
    }
}

impl Operand for Option<usize> {
    fn byte(self) -> u8 {
        self.map_or(0, |number| number.saturating_add(1).byte())
    }
    fn of(byte: u8) -> Option<Self> {
        Some(usize::from(byte).checked_sub(1))
    }
}

impl Operand for bool {
    fn byte(self) -> u8 {
        self.into()
    }
    fn of(byte: u8) -> Option<Self> {
        Some(byte != 0)
    }
}

impl Operand for Install {
    fn byte(self) -> u8 {
        self as u8
    }
    fn of(byte: u8) -> Option<Self> {
        [Self::Keep, Self::FlushTag, Self::FlushAll].get(usize::from(byte)).copied()
    }
}

impl Operand for WalkCache {
    fn byte(self) -> u8 {
        self as u8
    }
    fn of(byte: u8) -> Option<Self> {
        [Self::Keep, Self::Drop].get(usize::from(byte)).copied()
    }
}

impl Operand for Privilege {
    fn byte(self) -> u8 {
        self as u8
    }
    fn of(byte: u8) -> Option<Self> {
        [Self::Kernel, Self::User].get(usize::from(byte)).copied()
    }
}

impl Operand for Whose {
    fn byte(self) -> u8 {
        match self {
            Self::Kernel => 0,
            Self::Users => 1,
            Self::Tag(tag) => 2 | tag.min(63) << 2,
            Self::Space(space) => 3 | (space.min(63) << 2) as u8,
        }
    }
    fn of(byte: u8) -> Option<Self> {
        Some(match byte & 3 {
            0 => Self::Kernel,
            1 => Self::Users,
            2 => Self::Tag(byte >> 2),
            _ => Self::Space((byte >> 2).into()),
        })
    }
}

impl Operand for Which {
    fn byte(self) -> u8 {
        match self {
            Self::All => 255,
            Self::Page(page, walk) => walk as u8 | (page.min(126) << 1) as u8,
        }
    }
    fn of(byte: u8) -> Option<Self> {
        Some(match byte {
            255 => Self::All,
            _ => Self::Page((byte >> 1).into(), WalkCache::of(byte & 1)?),
        })
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
    /// An operation that frees something only ever adds to persistent ghosts, and the oracle is monotone in them. If
    /// freeing now breaks a rule, "now" is an execution; if freeing later does, so does the state that the early one
    /// leads to, for it holds the same ghosts. So running it early loses no finding and invents none. Entering user
    /// mode is the same with regard to other CPUs, but a handler on this CPU may flush or leave user mode first.
    /// An operation that takes translations or rights away can make a bad state good, so it stays in its place.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_survive_their_encoding() {
        for op in [
            Op::FlushOn { cpu: 7, whose: Whose::Space(3), which: Which::Page(2, WalkCache::Drop) },
            Op::Running { on: false },
            Op::Install { space: None, tag: 0, how: Install::FlushAll },
            Op::Install { space: Some(3), tag: 3, how: Install::Keep },
            Op::FlushPage { tag: 2, page: 3, walk: WalkCache::Drop },
            Op::Broadcast { whose: Whose::Space(2), which: Which::Page(1, WalkCache::Keep) },
            Op::Broadcast { whose: Whose::Kernel, which: Which::All },
            Op::Broadcast { whose: Whose::Tag(3), which: Which::Page(2, WalkCache::Drop) },
            Op::User { on: true },
            Op::Insert { tag: 3, page: 3, value: 15 },
            Op::FreeTable { table: 8 },
            Op::Unreachable { space: 3, page: 3 },
            Op::Teardown { space: 2 },
            Op::Reach { page: 3 },
            Op::ReachKernel { page: 1 },
            Op::Wrote { frame: 15 },
            Op::Discard { frame: 15 },
        ] {
            assert_eq!(Op::decode(op.encode()), Some(op));
        }
        assert_eq!(Op::decode(0), None);
    }
}
