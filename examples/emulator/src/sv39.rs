//! Page tables of the guest: three levels, 4 KiB to 1 GiB a page.

use crate::hart::{Cause, Mode, Trap, View};

/// What an access wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Run it.
    Fetch,
    /// Read it.
    Load,
    /// Write it, or read and write it at once.
    Store,
}

impl Kind {
    /// The trap of an address that leads nowhere in guest-physical memory.
    pub fn access_fault(self, address: u64) -> Trap {
        let cause = match self {
            Self::Fetch => Cause::FetchAccess,
            Self::Load => Cause::LoadAccess,
            Self::Store => Cause::StoreAccess,
        };
        Trap { cause, value: address }
    }

    /// The trap of an address that page tables do not map for this.
    pub fn page_fault(self, address: u64) -> Trap {
        let cause = match self {
            Self::Fetch => Cause::FetchPage,
            Self::Load => Cause::LoadPage,
            Self::Store => Cause::StorePage,
        };
        Trap { cause, value: address }
    }
}

/// What a page of guest-virtual memory is: 4 KiB of guest-physical memory, and the permissions and the size of the leaf
/// that maps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// Guest-physical address of the page.
    pub page: u64,
    /// Base-2 logarithm of the leaf's size in bytes.
    pub shift: u32,
    flags: u8,
}

const V: u8 = 1;
const R: u8 = 1 << 1;
const W: u8 = 1 << 2;
const X: u8 = 1 << 3;
const U: u8 = 1 << 4;
const G: u8 = 1 << 5;
const A: u8 = 1 << 6;
const D: u8 = 1 << 7;

impl Mapping {
    /// Whether the entry lets an access through. Accessed and dirty bits that are clear do not: the guest sets them.
    pub fn allows(self, view: View, kind: Kind) -> bool {
        let has = |flags: u8| self.flags & flags == flags;
        let mode = match view.mode {
            Mode::User => has(U),
            Mode::Supervisor => !has(U) || (view.sum && kind != Kind::Fetch),
        };
        let kind = match kind {
            Kind::Fetch => has(X | A),
            Kind::Load => has(R | A),
            Kind::Store => has(R | W | A | D),
        };
        mode && kind
    }

    /// Whether it is the same under every ASID, so that a fence for one need not drop it.
    pub fn is_global(self) -> bool {
        self.flags & G != 0
    }

    /// The first and the last address that the leaf around `address` maps.
    pub fn span(self, address: u64) -> (u64, u64) {
        let within = (1 << self.shift) - 1;
        (address & !within, address | within)
    }
}

/// Whether addresses are guest-physical as they are.
pub fn is_bare(satp: u64) -> bool {
    satp >> 60 == 0
}

/// Number of the guest's address space.
pub fn asid(satp: u64) -> u16 {
    (satp >> 44) as u16
}

/// Walks the page tables from `satp`; `read` reads a double word of guest-physical memory. `None` where nothing is
/// mapped.
///
/// # Errors
/// What `read` answers.
pub fn walk<E>(
    satp: u64,
    address: u64,
    mut read: impl FnMut(u64) -> Result<u64, E>,
) -> Result<Option<Mapping>, E> {
    if address as i64 >> 38 != 0 && address as i64 >> 38 != -1 {
        return Ok(None);
    }
    let mut table = (satp & 0xfff_ffff_ffff) << 12;
    for level in (0..3).rev() {
        let shift = 12 + 9 * level;
        let entry = read(table + (address >> shift & 0x1ff) * 8)?;
        let flags = entry as u8;
        if flags & V == 0 || flags & (R | W) == W {
            return Ok(None);
        }
        let next = (entry >> 10 & 0xfff_ffff_ffff) << 12;
        if flags & (R | X) == 0 {
            table = next;
            continue;
        }
        let within = (1_u64 << shift) - 1;
        // A large page that is not aligned to its size is no page.
        return Ok((next & within == 0).then_some(Mapping {
            page: next | (address & within & !0xfff),
            shift,
            flags,
        }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    const SATP: u64 = 8 << 60 | 7 << 44 | 0x80;
    const READ: View = View { satp: SATP, mode: Mode::Supervisor, sum: false };

    fn find(tables: &[(u64, u64)], address: u64) -> Option<Mapping> {
        let tables: HashMap<u64, u64> = tables.iter().copied().collect();
        let read = |at| Ok::<_, ()>(tables.get(&at).copied().unwrap_or(0));
        walk(SATP, address, read).expect("reading cannot fail here")
    }

    fn entry(page: u64, flags: u8) -> u64 {
        page >> 2 | u64::from(flags)
    }

    #[test]
    fn three_levels_lead_to_a_small_page() {
        let tables = [
            (0x80_000 + 8, entry(0x81_000, V)),
            (0x81_000 + 2 * 8, entry(0x82_000, V)),
            (0x82_000 + 3 * 8, entry(0x9_5000, V | R | A)),
        ];
        let address = 1 << 30 | 2 << 21 | 3 << 12 | 0x123;
        let mapping = find(&tables, address).expect("it is mapped");
        assert_eq!(mapping.page, 0x9_5000);
        assert!(mapping.allows(READ, Kind::Load) && !mapping.allows(READ, Kind::Store));
        assert_eq!(find(&tables, address + 0x1000), None);
        assert_eq!(asid(SATP), 7);
    }

    #[test]
    fn large_pages_keep_the_lower_address_bits_and_must_be_aligned() {
        let mapped = find(&[(0x80_000 + 16, entry(0x8000_0000, V | R | W | X | A | D))], 2 << 30 | 0x12_3456);
        let mapped = mapped.expect("it is mapped");
        assert_eq!((mapped.page, mapped.shift), (0x8012_3000, 30));
        assert_eq!(mapped.span(2 << 30 | 0x12_3456), (2 << 30, (3 << 30) - 1));
        assert_eq!(find(&[(0x80_000 + 16, entry(0x8000_1000, V | R | A))], 2 << 30), None);
    }

    #[test]
    fn addresses_that_are_not_canonical_and_bad_entries_map_nothing() {
        let all = [(0x80_000, entry(0x4000_0000, V | R | A))];
        assert!(find(&all, 0x1000).is_some());
        assert_eq!(find(&all, 1 << 39), None);
        assert_eq!(
            find(&[(0x80_000, entry(0x4000_0000, V | W | A))], 0x1000),
            None,
            "writable, not readable"
        );
        assert_eq!(
            find(&[(0x80_000, entry(0x80_000, V))], 0),
            None,
            "a table that names itself ends at the third level"
        );
    }

    #[test]
    fn user_pages_are_for_users_and_for_supervisors_who_say_so() {
        let mapping = Mapping { page: 0, shift: 12, flags: V | R | W | X | U | A | D };
        let user = View { mode: Mode::User, ..READ };
        let sum = View { sum: true, ..READ };
        assert!(mapping.allows(user, Kind::Fetch) && !mapping.allows(READ, Kind::Load));
        assert!(mapping.allows(sum, Kind::Store) && !mapping.allows(sum, Kind::Fetch));
        let clean = Mapping { page: 0, shift: 12, flags: V | R | W | A };
        assert!(clean.allows(READ, Kind::Load) && !clean.allows(READ, Kind::Store));
    }
}
