//! What CPUs use of what can be given away, as the bits that the explorer orders under weak memory.
//!
//! A bit for each translation value, table, root, space whose user code runs, and page of a space.

use crate::hw::Op;
use crate::limits::{MAX_PAGES, MAX_SPACES};
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::{ARRIVING, Local, ONLINE, USER};
use shootdown_explore::Violation;

const TABLES: usize = 16;
const ROOTS: usize = TABLES + 8;
const SPACES: usize = ROOTS + 8;
const PAGES: usize = SPACES + 8;
const _: () = assert!(MAX_SPACES <= 8 && PAGES + MAX_SPACES * MAX_PAGES <= 64, "one word holds all bits");

impl Machine {
    /// What a CPU may use now.
    pub(crate) fn uses(&self, local: &Local) -> u64 {
        if !local.walks() {
            return 0;
        }
        let kernel = local.is(ONLINE) && !local.is(ARRIVING);
        let pages = (0..self.tables.kernel.len()).filter(|_| kernel);
        let values = pages.fold(local.in_flight, |all, page| all | self.usable_by_kernel(local, page));
        let table = if kernel && local.kernel_walk { table_bit(self.tables.kernel_table()) } else { 0 };
        let Some(space) = local.space() else { return u64::from(values) | table };
        let walk = local.walk[usize::from(local.tag)];
        let tables = u64::from((walk | walk >> 8) as u8) << TABLES;
        let loaded = u64::from(values) | table | tables | 1 << (ROOTS + space);
        if local.is(USER) { loaded | user(local, space) } else { loaded }
    }

    /// What a CPU holds, whether it may use it or not.
    pub(crate) fn holds(&self, local: &Local) -> u64 {
        let kernel = local.kernel.iter().fold(0, |all, set| all | set);
        let table = if local.kernel_walk { table_bit(self.tables.kernel_table()) } else { 0 };
        let walk = local.walk.iter().fold(0, |all, walk| all | walk);
        let tables = u64::from((walk | walk >> 8) as u8) << TABLES;
        let pages = |page: usize| {
            let set = local.tlb.iter().fold(0, |all, pages| all | pages[page]);
            (0..MAX_SPACES)
                .filter(move |&space| set & self.own[space] != 0)
                .map(move |space| page_bit(space, page))
        };
        let pages = (0..MAX_PAGES).flat_map(pages).fold(0, |all, bit| all | bit);
        u64::from(kernel | local.held()) | table | tables | pages
    }

    /// What an operation gives away. Versions of code are not among it: they are fetched, and on every machine the
    /// fetch of an instruction comes before what instructions behind it do, without a barrier; see [`crate::code`].
    pub(crate) fn gives(&self, op: Op) -> u64 {
        match op {
            Op::FreeFrame { frame } | Op::Discard { frame } => self.leading_to[frame].into(),
            Op::Revoke { value } => 1 << value,
            Op::FreeTable { table } => table_bit(table),
            Op::FreeRoot { space } => 1 << (ROOTS + space),
            Op::Teardown { space } => 1 << (SPACES + space),
            Op::Unreachable { space, page } => page_bit(space, page),
            _ => 0,
        }
    }

    /// The violation where `giver` does not know that `user` has stopped using what `op` gives away.
    pub(crate) fn not_over(&self, op: Op, giver: usize, user: usize) -> Violation {
        let rule = match op {
            Op::FreeTable { .. } => 7,
            Op::FreeRoot { .. } | Op::Teardown { .. } => 10,
            _ => 8,
        };
        let what = self.words(op);
        let text = format!("CPU {giver}: {what}, and nothing orders the end of CPU {user}'s use before that");
        broken(rule, text).into()
    }
}

fn table_bit(table: u64) -> u64 {
    1 << (TABLES as u64 + table - 1)
}

fn page_bit(space: usize, page: usize) -> u64 {
    1 << (PAGES + space * MAX_PAGES + page)
}

/// What user code of a space may use.
fn user(local: &Local, space: usize) -> u64 {
    let held = local.tlb[usize::from(local.tag)].iter().enumerate();
    let used = |all: u64, (page, &set): (usize, &u16)| {
        let there = if set == 0 { 0 } else { page_bit(space, page) };
        all | u64::from(set) | there
    };
    held.fold(1 << (SPACES + space), used)
}
