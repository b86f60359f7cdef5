use core::sync::atomic::Ordering::{AcqRel, Relaxed};
use shootdown_explore::sync::{self, Word};

/// The words of an address space that its users share: `mm.users`, `mm.count` and `mm.mask`.
#[derive(Debug)]
pub struct Mm {
    /// References that keep the mappings alive.
    pub users: Word,
    /// References that keep the structure and its root alive; all users together hold one.
    pub count: Word,
    /// CPUs that may hold translations, as bits.
    pub mask: Word,
}

impl Mm {
    /// Makes a space with these counts and this mask.
    pub fn new(users: u64, count: u64, mask: u64) -> Self {
        Self {
            users: Word::new("mm.users", users),
            count: Word::new("mm.count", count),
            mask: Word::new("mm.mask", mask),
        }
    }

    /// Takes a user reference where only a structure reference is held; refuses when the mappings are dead.
    pub fn upgrade(&self) -> bool {
        sync::retry(|| match self.users.load(Relaxed) {
            0 => Some(false),
            n => self.users.compare_exchange(n, n + 1, AcqRel, Relaxed).is_ok().then_some(true),
        })
    }

    /// Drops a user reference; returns whether it was the last.
    pub fn put_user(&self) -> bool {
        self.users.fetch_sub(1, AcqRel) == 1
    }

    /// Drops a structure reference; returns whether it was the last.
    pub fn put_struct(&self) -> bool {
        self.count.fetch_sub(1, AcqRel) == 1
    }

    /// Returns the mask, as bits.
    pub fn members(&self) -> u64 {
        self.mask.load(Relaxed)
    }

    /// Puts `cpu` into the mask.
    pub fn join(&self, cpu: usize) {
        self.mask.fetch_or(1 << cpu, AcqRel);
    }

    /// Takes `cpu` out of it.
    pub fn leave(&self, cpu: usize) {
        self.mask.fetch_and(!(1 << cpu), AcqRel);
    }
}
