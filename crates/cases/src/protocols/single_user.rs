//! The single-user shortcut: an owner that finds itself the only user of an address space wants to flush alone from
//! then on, so it takes the other CPUs out of the mask. The cases share this code; architectures differ in how they
//! trim.
//!
//! CPU 0 owns the address space and unmaps two pages. CPU 1 runs a kernel thread that is still lazy on it (root
//! loaded, bit set, translations held) and holds a structure reference. What it does next is part of the policy; in
//! most cases it borrows the space, works on it, and is lazy again.

use super::{CROSS_CALL, CrossCall, Mm};
use core::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, MaskWord, Model, Program};

/// How an architecture trims the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trim {
    /// Never: it always flushes on all members.
    Never,
    /// Overwrites the mask with itself (sparc64 before the fix).
    Overwrite,
    /// Asks all members to leave, which those that use the space refuse in silence; then overwrites the mask with
    /// itself (powerpc before the fix).
    AskAndOverwrite,
    /// Calls all members and then, if it still finds itself the only user, overwrites the mask with itself (sparc32 as
    /// read).
    OverwriteAfterCall,
    /// Takes the tag of the space away from every other CPU, without telling it: a CPU that finds none takes a fresh
    /// one at its next switch (MIPS, LoongArch, sh and alpha as read).
    TakeTagsAway,
    /// Asks all members to flush, and each that does not use the space to take itself out (powerpc since).
    AskToLeave,
}

/// How an architecture flushes on the members of the mask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remote {
    /// By cross call.
    CrossCall,
    /// By an instruction.
    Broadcast,
}

/// What CPU 1 does meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outsider {
    /// Borrows the space.
    Borrows,
    /// Goes off line and comes back, then borrows the space.
    Unplugged {
        /// Whether it leaves the space and flushes before it goes.
        leaves: bool,
    },
    /// Leaves the space by itself, not asked.
    Leaves {
        /// Whether interrupts are off meanwhile.
        irqs_off: bool,
    },
}

/// What an architecture does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) trim: Trim,
    pub(crate) remote: Remote,
    pub(crate) outsider: Outsider,
    /// Whether a CPU that is not in the mask flushes the tag when it joins.
    pub(crate) joins_clean: bool,
    /// Whether each CPU has a tag of its own for the space, which it loads at every switch.
    pub(crate) own_tags: bool,
}

const OWNER: usize = 0;
const BORROWER: usize = 1;
const SPACE: usize = 0;
const TAG: u8 = 1;
/// A tag that nothing was ever cached under.
const FRESH: u8 = 2;
const NO_TAG: u64 = 0;
const LEAVE: u64 = 1;
const FLUSH_PAGE: u64 = 2;

/// What the borrower's CPU keeps: whether its thread uses the space, and whether it has the root loaded.
#[derive(Debug)]
struct Borrower {
    current: Word,
    active: Word,
    /// The tag that it has the space under, where CPUs have tags of their own.
    tag: Word,
}

#[derive(Debug)]
pub(crate) struct SingleUser {
    machine: Machine,
    policy: Policy,
    mm: Mm,
    calls: CrossCall,
    borrower: Borrower,
    /// CPUs that can be called.
    online: Word,
}

impl SingleUser {
    pub(crate) fn model(policy: Policy) -> Model {
        let machine = Machine::builder(2)
            .tags(3)
            .own_page(SPACE, 0, 1)
            .own_page(SPACE, 1, 2)
            .start(OWNER, SPACE, TAG, true)
            .start(BORROWER, SPACE, TAG, false)
            .must_free_frame(1)
            .must_free_frame(2);
        machine.runs(|machine| Self {
            machine,
            policy,
            mm: Mm::new(1, 2, 0b11),
            calls: CrossCall::new(2),
            borrower: Borrower {
                current: Word::new("borrower.current", 0),
                active: Word::new("borrower.active", 1),
                tag: Word::new("borrower.tag", TAG.into()),
            },
            online: Word::new("cpus.online", 0b11),
        })
    }

    fn unmap(&self, page: usize) {
        self.machine.tables.leaf(SPACE, page).swap(0, AcqRel);
        sync::fence(SeqCst);
        self.flush(page);
        hw::free_frame(page + 1);
    }

    fn flush(&self, page: usize) {
        match self.policy.trim {
            Trim::Never => self.flush_members(page),
            Trim::OverwriteAfterCall => {
                self.flush_members(page);
                if self.mm.users.load(Relaxed) == 1 {
                    self.mm.mask.store(1 << OWNER, Relaxed);
                }
            }
            _ if self.mm.users.load(Relaxed) == 1 => self.trim(),
            _ => self.flush_members(page),
        }
        hw::flush_page(TAG, page, WalkCache::Drop);
    }

    fn trim(&self) {
        if self.policy.trim == Trim::TakeTagsAway {
            self.borrower.tag.store(NO_TAG, Relaxed);
            return;
        }
        if self.policy.trim != Trim::Overwrite {
            let targets = self.mm.members() & self.online.load(Relaxed);
            self.calls.call(OWNER, targets, LEAVE);
        }
        if self.policy.trim != Trim::AskToLeave {
            self.mm.mask.store(1 << OWNER, Relaxed);
        }
    }

    fn flush_members(&self, page: usize) {
        let members = self.mm.members();
        if members == 1 << OWNER {
            return;
        }
        match self.policy.remote {
            Remote::CrossCall => self.calls.call(OWNER, members, FLUSH_PAGE + page as u64),
            Remote::Broadcast => hw::broadcast(Whose::Tag(TAG), Which::Page(page, WalkCache::Drop)),
        }
    }

    fn run_outsider(&self) {
        match self.policy.outsider {
            Outsider::Borrows => self.borrow(),
            Outsider::Unplugged { leaves } => {
                self.go_off_line_and_back(leaves);
                self.borrow();
            }
            Outsider::Leaves { irqs_off: false } => self.leave(),
            Outsider::Leaves { irqs_off: true } => {
                let on = sync::irq_save();
                self.leave();
                sync::irq_restore(on);
            }
        }
    }

    /// A CPU that is off line keeps its TLB, and broadcasts still reach it. It is not called; a call that was on its
    /// way is answered when it is back.
    fn go_off_line_and_back(&self, leaves: bool) {
        sync::note("go off line");
        let on = sync::irq_save();
        self.borrower.active.store(0, Relaxed);
        hw::install(None, 0, Install::Keep);
        if leaves {
            self.mm.leave(BORROWER);
            hw::flush_user();
        }
        self.online.store(1 << OWNER, Relaxed);
        sync::fence(SeqCst);
        sync::note("come back");
        self.online.store(0b11, Relaxed);
        sync::irq_restore(on);
    }

    fn borrow(&self) {
        sync::note("borrow the space");
        if !self.mm.upgrade() {
            return;
        }
        let on = sync::irq_save();
        self.borrower.current.store(1, Relaxed);
        self.switch_in();
        sync::irq_restore(on);
        sync::note("work on user memory");
        hw::user(true);
        hw::touch(0);
        hw::user(false);
        sync::note("give the space back, stay lazy");
        self.borrower.current.store(0, Relaxed);
        self.mm.put_user();
    }

    fn switch_in(&self) {
        let joins = self.mm.members() & 1 << BORROWER == 0;
        if joins {
            self.mm.join(BORROWER);
            sync::fence(SeqCst);
        }
        if self.policy.own_tags {
            self.switch_in_with_own_tag();
        } else if self.borrower.active.load(Relaxed) == 0 {
            self.borrower.active.store(1, Relaxed);
            hw::install(Some(SPACE), TAG, Install::Keep);
        }
        if joins && self.policy.joins_clean {
            hw::flush_tag(TAG);
        }
    }

    /// The borrower's CPU is asked to flush a page.
    fn flush_here(&self, page: usize) {
        hw::flush_page(TAG, page, WalkCache::Drop);
        if self.policy.own_tags {
            hw::flush_page(FRESH, page, WalkCache::Drop);
        }
    }

    fn switch_in_with_own_tag(&self) {
        if self.borrower.tag.load(Relaxed) == NO_TAG {
            self.borrower.tag.store(FRESH.into(), Relaxed);
            hw::install(Some(SPACE), FRESH, Install::FlushTag);
        } else {
            hw::install(Some(SPACE), TAG, Install::Keep);
        }
    }

    /// The borrower's CPU is asked to leave.
    fn leave(&self) {
        let uses = self.borrower.current.load(Relaxed) != 0;
        if uses && self.policy.trim == Trim::AskAndOverwrite {
            return;
        }
        if !uses {
            if self.borrower.active.load(Relaxed) != 0 {
                self.borrower.active.store(0, Relaxed);
                hw::install(None, 0, Install::Keep);
            }
            if self.policy.trim == Trim::AskToLeave {
                self.mm.leave(BORROWER);
            }
        }
        hw::flush_tag(TAG);
    }
}

impl Program for SingleUser {
    fn main(&self, cpu: usize) {
        if cpu == BORROWER {
            return self.run_outsider();
        }
        sync::note("munmap page 0");
        self.unmap(0);
        sync::note("munmap page 1");
        self.unmap(1);
    }

    fn interrupt(&self, cpu: usize, line: u8) {
        assert_eq!((cpu, line), (BORROWER, CROSS_CALL), "only the owner calls");
        self.calls.serve(cpu, |what| match what {
            LEAVE => self.leave(),
            _ => self.flush_here((what - FLUSH_PAGE) as usize),
        });
    }

    fn mask(&self) -> Option<MaskWord<'_>> {
        let checked = matches!(self.policy.outsider, Outsider::Leaves { .. });
        checked.then_some(MaskWord { space: SPACE, word: &self.mm.mask, first: 0 })
    }
}
