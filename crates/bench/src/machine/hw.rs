//! The state of the machine.

use super::cost::{CLUSTER, COSTS};
use super::lines::{Lines, NumberMap, Touched};
use super::operation::{Operation, Spent};
use super::tally::{Class, Totals};
use super::tlb::{Fate, PageTables, Pages, Tlb, Translation};
use shootdown_instrumented::Access;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

/// Marks the number of a table page among page numbers; a table maps this many pages, as a shift.
pub(super) const TABLE: u64 = 1 << 60;
const TABLE_SHIFT: u32 = 9;
/// Lines that a CPU read last: those that a wait polls.
const RECENT: usize = 4;

thread_local! {
    static HW: RefCell<Option<Hw>> = const { RefCell::new(None) };
}

/// Lets `work` look at the machine that runs on this thread.
///
/// # Panics
/// Where none does, or when called from inside itself.
pub(crate) fn with<R>(work: impl FnOnce(&mut Hw) -> R) -> R {
    HW.with_borrow_mut(|hw| work(hw.as_mut().expect("a machine runs on this thread")))
}

/// Forgets the lines of memory that was given back, where a machine runs.
pub(crate) fn forget_lines(address: u64, bytes: u64) {
    HW.with_borrow_mut(|hw| {
        if let Some(hw) = hw {
            hw.lines.forget(address, bytes);
        }
    });
}

/// Puts a machine on this thread, or takes it away; returns the one that was there.
pub(super) fn replace(hw: Option<Hw>) -> Option<Hw> {
    HW.replace(hw)
}

/// Something that happens to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// It is done with what it did.
    Step,
    /// A line that it polls was written.
    Wake,
    /// The instruction on its TLB that it carries out is complete.
    Complete,
    /// Its IPI arrives.
    Ipi,
}

/// One CPU.
#[derive(Debug)]
pub(super) struct Cpu {
    pub(super) now: u64,
    /// Until then interrupts wait.
    pub(super) masked_until: u64,
    /// It is in the middle of an instruction on its TLB: nothing but [`Event::Complete`] makes it go on.
    pub(super) busy: bool,
    /// Its handler runs.
    pub(super) handles: bool,
    pub(super) class: Class,
    /// What it carries out.
    pub(super) operation: Operation,
    pub(super) root: Option<u32>,
    pub(super) tag: u16,
    /// Whether a program may use the loaded space.
    pub(super) user: bool,
    pub(super) idle: bool,
    pub(super) tlb: Tlb,
    /// Entries of its TLB, under any tag, that lead to what was given back.
    pub(super) gone: u32,
    recent: [u32; RECENT],
    turn: usize,
    /// Flushes of its TLB so far.
    pub(super) flushes: u64,
    /// IPIs that it sent so far.
    pub(super) ipis_sent: u64,
}

/// The machine.
#[derive(Debug)]
pub(crate) struct Hw {
    pub(crate) current: u32,
    pub(crate) totals: Totals,
    pub(super) cpus: Vec<Cpu>,
    pub(super) watched: Option<Vec<Touched>>,
    /// Spaces that were made and have not ended.
    pub(super) living: HashSet<u32>,
    /// Whether CPUs run; they boot before.
    pub(super) runs: bool,
    /// CPUs of a node, where lines of other nodes take longer; 0 where all are equally near.
    pub(super) node: u32,
    /// Times that a page must be flushed: twice where user code and the kernel have page tables, and tags, of their
    /// own.
    pub(super) tags_per_space: u64,
    lines: Lines,
    /// Page tables: by space and page, numbers of translations.
    tables: NumberMap<u32, NumberMap<u64, u32>>,
    pub(super) translations: Vec<Translation>,
    pub(super) spare: Vec<u32>,
    queue: BinaryHeap<Reverse<(u64, u64, u32, Event)>>,
    sequence: u64,
}

impl Hw {
    pub(super) fn new(cpus: usize) -> Self {
        let cpu = || Cpu {
            now: 0,
            masked_until: 0,
            busy: false,
            handles: false,
            class: Class::User,
            operation: Operation::Create,
            root: None,
            tag: 0,
            user: false,
            idle: false,
            tlb: Tlb::default(),
            gone: 0,
            recent: [u32::MAX; RECENT],
            turn: 0,
            flushes: 0,
            ipis_sent: 0,
        };
        Self {
            current: 0,
            totals: Totals::default(),
            cpus: (0..cpus).map(|_| cpu()).collect(),
            watched: None,
            living: HashSet::new(),
            runs: false,
            node: 0,
            tags_per_space: 1,
            lines: Lines::new(cpus),
            tables: NumberMap::default(),
            translations: Vec::new(),
            spare: Vec::new(),
            queue: BinaryHeap::new(),
            sequence: 0,
        }
    }

    pub(super) fn me(&mut self) -> &mut Cpu {
        &mut self.cpus[self.current as usize]
    }

    /// Returns the current CPU's clock, in cycles.
    pub(crate) fn now(&mut self) -> u64 {
        self.me().now
    }

    /// Adds to the current CPU's clock.
    pub(crate) fn advance(&mut self, cycles: u64) {
        self.me().now += cycles;
    }

    /// Counts instructions that touch no shared word.
    pub(crate) fn work(&mut self, instructions: u64) {
        let class = self.me().class;
        self.totals.class(class).instructions += instructions;
        self.spent().instructions += instructions;
        self.advance(instructions);
    }

    /// Counts that work of the current class was begun.
    pub(super) fn begin(&mut self, class: Class) {
        self.me().class = class;
        self.totals.class(class).operations += 1;
        self.work(COSTS.call_instructions);
    }

    /// The current CPU accesses a shared word.
    pub(crate) fn access(&mut self, address: u64, access: Access) {
        let cpu = self.current;
        let class = self.me().class;
        let tally = self.totals.class(class);
        if access == Access::Fence {
            tally.fences += 1;
            tally.instructions += COSTS.fence_instructions;
            self.spent().instructions += COSTS.fence_instructions;
            return self.advance(COSTS.fence);
        }
        tally.instructions += COSTS.access_instructions;
        let written = access != Access::Load;
        let far = self.node != 0 && self.lines.is_far(cpu, address, self.node, written);
        let moved = match access {
            Access::Load => self.lines.read(cpu, address),
            _ => self.lines.write(cpu, address),
        };
        if let Some(watched) = &mut self.watched {
            watched.push(Touched { line: moved.place, cpu, written });
        }
        let transfers = u64::from(moved.transfer);
        let spent = self.spent();
        spent.instructions += COSTS.access_instructions;
        spent.transfers += transfers;
        let tally = self.totals.class(class);
        match access {
            Access::Load => {
                tally.reads += 1;
                tally.read_transfers += transfers;
                let me = self.me();
                me.recent[me.turn % RECENT] = moved.place;
                me.turn += 1;
            }
            Access::Store => {
                tally.writes += 1;
                tally.write_transfers += transfers;
            }
            _ => {
                tally.updates += 1;
                tally.write_transfers += transfers;
            }
        }
        let locked = if access == Access::Update { COSTS.fence } else { 0 };
        let far = if moved.transfer && far { COSTS.far } else { 0 };
        self.advance(locked + far + if moved.transfer { COSTS.transfer } else { COSTS.hit });
        if written {
            let now = self.me().now;
            for sleeper in self.lines.wake(moved.place) {
                if sleeper != cpu {
                    self.push(now + COSTS.transfer, sleeper, Event::Wake);
                }
            }
        }
    }

    /// The current CPU sleeps until one of the lines that it read last is written.
    pub(super) fn sleep(&mut self) {
        let cpu = self.current;
        for place in self.me().recent {
            if place != u32::MAX {
                self.lines.sleep(cpu, place);
            }
        }
    }

    /// From now on remembers which lines are accessed.
    pub(super) fn watch(&mut self) {
        self.watched = Some(Vec::new());
        self.lines.watch();
    }

    /// Sends an IPI to `cpu`.
    pub(crate) fn send_ipi(&mut self, cpu: u32) {
        self.send_ipis([cpu]);
    }

    /// Sends an IPI to each of these CPUs, which are in order: to those of a cluster at once.
    pub(crate) fn send_ipis(&mut self, cpus: impl IntoIterator<Item = u32>) {
        let mut cluster = None;
        for cpu in cpus {
            if cluster.replace(cpu / CLUSTER) != Some(cpu / CLUSTER) {
                self.work(COSTS.hardware_instructions);
                self.advance(COSTS.send);
            }
            self.deliver_ipi(cpu);
        }
    }

    fn deliver_ipi(&mut self, cpu: u32) {
        self.totals.sent += 1;
        self.me().ipis_sent += 1;
        self.spent().ipis += 1;
        let far = self.node != 0 && cpu / self.node != self.current / self.node;
        let at = self.me().now + COSTS.delivery + if far { COSTS.far } else { 0 };
        self.push(at, cpu, Event::Ipi);
    }

    pub(super) fn push(&mut self, at: u64, cpu: u32, event: Event) {
        self.sequence += 1;
        self.queue.push(Reverse((at, self.sequence, cpu, event)));
    }

    pub(super) fn next_time(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    pub(super) fn pop(&mut self) -> Option<(u64, u32, Event)> {
        let Reverse((at, _, cpu, event)) = self.queue.pop()?;
        self.totals.events += 1;
        Some((at, cpu, event))
    }
}

/// What operations of each kind cost.
impl Hw {
    /// The current CPU begins an operation.
    pub(super) fn begin_operation(&mut self, operation: Operation) {
        self.cpus[self.current as usize].operation = operation;
        self.totals.operations.at(operation).times += 1;
    }

    /// The counts of what the current CPU does; its handler is apart from the operation that it interrupts.
    pub(super) fn spent(&mut self) -> &mut Spent {
        let me = &self.cpus[self.current as usize];
        let operation = if me.class == Class::Handler { Operation::Answer } else { me.operation };
        self.totals.operations.at(operation)
    }

    /// The current CPU's handler begins.
    pub(super) fn begin_answer(&mut self) {
        self.totals.operations.at(Operation::Answer).times += 1;
        self.begin(Class::Handler);
    }
}

/// Roots, TLBs and page tables.
impl Hw {
    /// Loads a root on the current CPU; `keep` leaves what the TLB has under `tag`.
    pub(crate) fn install(&mut self, root: Option<u32>, tag: u16, keep: bool) {
        self.totals.installs += 1;
        self.work(COSTS.hardware_instructions);
        self.advance(COSTS.install);
        if !keep {
            self.totals.full_flushes += 1;
            self.drop_tag(tag, Pages::ALL, PageTables::Freed);
        }
        let me = self.me();
        // A CPU that leaves a space has done what an IPI may ask.
        me.flushes += u64::from(root.is_none());
        (me.root, me.tag) = (root, tag);
    }

    /// Says whether a program may use what is loaded on the current CPU.
    pub(super) fn set_user(&mut self, user: bool) {
        self.me().user = user;
        if user {
            self.check_usable();
        }
    }

    /// The space that the current CPU has loaded.
    pub(crate) fn loaded(&self) -> Option<u32> {
        self.cpus[self.current as usize].root
    }

    /// Flushes pages under a tag on the current CPU, one by one.
    pub(crate) fn flush_pages(&mut self, tag: u16, pages: Pages, tables: PageTables) {
        self.totals.selective_flushes += 1;
        let each = pages.count * self.tags_per_space;
        self.totals.flushed_pages += each;
        self.work(COSTS.hardware_instructions * each);
        self.advance(COSTS.flush_page * each);
        self.drop_tag(tag, pages, tables);
    }

    /// Flushes a tag on the current CPU. The user's half of a space with two tags goes with its next load, at no price.
    pub(crate) fn flush_tag(&mut self, tag: u16) {
        self.totals.full_flushes += 1;
        self.work(COSTS.hardware_instructions);
        self.advance(COSTS.flush_tag);
        self.drop_tag(tag, Pages::ALL, PageTables::Freed);
    }

    /// Flushes all tags on the current CPU.
    pub(crate) fn flush_everything(&mut self) {
        self.totals.full_flushes += 1;
        self.work(COSTS.hardware_instructions);
        self.advance(COSTS.flush_tag);
        let dropped = self.me().tlb.drop_all();
        self.dropped(self.current, &dropped);
    }

    /// Drops pages of all CPUs under a tag, by a broadcast of the hardware.
    pub(crate) fn broadcast(&mut self, tag: u16, pages: Pages, tables: PageTables) {
        self.totals.broadcasts += 1;
        self.work(COSTS.hardware_instructions * pages.count.max(1));
        self.advance(COSTS.broadcast);
        let me = self.current;
        for cpu in 0..self.cpus.len() as u32 {
            self.current = cpu;
            self.drop_tag(tag, pages, tables);
        }
        self.current = me;
    }

    fn drop_tag(&mut self, tag: u16, pages: Pages, tables: PageTables) {
        self.me().flushes += 1;
        let dropped = self.me().tlb.drop_pages(tag, pages);
        self.dropped(self.current, &dropped);
        if tables == PageTables::Freed && pages.count != 0 {
            let dropped = self.me().tlb.drop_pages(tag, tables_of(pages));
            self.dropped(self.current, &dropped);
        }
    }

    pub(super) fn dropped(&mut self, cpu: u32, dropped: &[u32]) {
        for &number in dropped {
            let translation = &mut self.translations[number as usize];
            match translation.fate {
                Fate::Mapped => self.totals.lost += 1,
                Fate::Held => {}
                Fate::Gone => self.cpus[cpu as usize].gone -= 1,
            }
            if let Some(at) = translation.holders.iter().position(|&holder| holder == cpu) {
                translation.holders.swap_remove(at);
            }
            if translation.fate == Fate::Gone && translation.holders.is_empty() {
                self.spare.push(number);
            }
        }
    }

    fn table(&mut self, space: u32) -> &mut NumberMap<u64, u32> {
        self.tables.entry(space).or_default()
    }

    /// Forgets the tables of a space that has ended, if nothing is mapped.
    pub(super) fn forget_tables(&mut self, space: u32) {
        if self.tables.get(&space).is_some_and(NumberMap::is_empty) {
            self.tables.remove(&space);
        }
    }

    /// The translation of a page, which is mapped if it is not.
    fn map(&mut self, space: u32, page: u64) -> u32 {
        if let Some(&number) = self.table(space).get(&page) {
            return number;
        }
        let translation = Translation { space, page, fate: Fate::Mapped, holders: Vec::new() };
        let number = match self.spare.pop() {
            Some(number) => {
                self.translations[number as usize] = translation;
                number
            }
            None => {
                self.translations.push(translation);
                self.translations.len() as u32 - 1
            }
        };
        self.table(space).insert(page, number);
        number
    }

    /// A program on the current CPU uses pages of the loaded space.
    pub(super) fn touch(&mut self, pages: Pages) {
        let Some(space) = self.me().root.filter(|_| self.cpus[self.current as usize].user) else { return };
        for page in pages.first..pages.first + pages.count {
            self.advance(1);
            self.use_page(space, page);
        }
    }

    fn use_page(&mut self, space: u32, page: u64) {
        let cpu = self.current as usize;
        let tag = self.cpus[cpu].tag;
        if let Some(number) = self.cpus[cpu].tlb.find(tag, page) {
            let found = &self.translations[number as usize];
            if found.fate != Fate::Gone && found.space == space {
                return;
            }
            self.totals.violations += 1;
        }
        self.totals.refills += 1;
        self.advance(COSTS.walk);
        for page in [TABLE | page >> TABLE_SHIFT, page] {
            let number = self.map(space, page);
            if let Some(old) = self.cpus[cpu].tlb.fill(tag, page, number) {
                if old == number {
                    continue;
                }
                self.dropped(cpu as u32, &[old]);
            }
            self.translations[number as usize].holders.push(cpu as u32);
        }
    }

    /// Takes pages out of the page tables, and says what they were; with `replace` others take their place.
    pub(super) fn retire(&mut self, space: u32, pages: Pages, tables: PageTables, replace: bool) -> Vec<u32> {
        // A recording may flush a space that has ended.
        let Some(table) = self.tables.get(&space) else { return Vec::new() };
        let mut gone: Vec<u64> = match pages.count {
            0 => table.keys().copied().filter(|page| !replace || page & TABLE == 0).collect(),
            _ => (pages.first..pages.first + pages.count).collect(),
        };
        gone.sort_unstable();
        if tables == PageTables::Freed && pages.count != 0 {
            let tables = tables_of(pages);
            gone.extend(tables.first..tables.first + tables.count);
        }
        let mut retired = Vec::new();
        for page in gone {
            let Some(number) = self.table(space).remove(&page) else { continue };
            self.translations[number as usize].fate = Fate::Held;
            retired.push(number);
            if replace {
                self.map(space, page);
            }
        }
        retired
    }
}

/// The tables that map `pages`.
fn tables_of(pages: Pages) -> Pages {
    let first = pages.first >> TABLE_SHIFT;
    let last = (pages.first + pages.count - 1) >> TABLE_SHIFT;
    Pages { first: TABLE | first, count: last - first + 1 }
}
