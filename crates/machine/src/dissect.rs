//! The machine taken apart for drawings that one can step through: what each CPU holds, and how far that still agrees
//! with the page tables in memory.

use crate::limits::{MAX_ENTRIES, MAX_PAGES, MAX_SPACES, MAX_TAGS, SLOTS};
use crate::machine::Machine;
use crate::state::{Local, ONLINE, Privilege, Shared, USER};
use crate::tables::space_name;
use shootdown_explore::{Dissection, Fact, Item, Standing, View};

impl Machine {
    pub(crate) fn take_apart(&self, view: &View<'_, Self>) -> Dissection {
        Dissection {
            cpus: view.locals.iter().map(|local| self.cpu_facts(view, local)).collect(),
            shared: self.gone(view.shared),
        }
    }

    /// What a page-table word says, in the words of [`Machine::take_apart`]; nothing for words of other kinds.
    pub(crate) fn entry_meaning(&self, index: usize, value: u64) -> Option<String> {
        let (watched, tables) = (self.watched(), &self.tables);
        let leaves = watched.leaf(0, 0)..watched.kernel(0);
        let kernel = watched.kernel(0)..watched.kernel(tables.kernel.len());
        let links = kernel.end..watched.second_stage(0);
        let guests = watched.second_stage(0)..watched.code(0);
        let code = watched.code(0)..watched.code(tables.code.len());
        match value {
            _ if index >= code.end => None,
            _ if code.contains(&index) => Some(format!("version {value}")),
            0 => Some("nothing".to_owned()),
            _ if index < leaves.start || links.contains(&index) => Some(format!("table {value}")),
            _ if leaves.contains(&index) && !guests.is_empty() => Some(format!("guest page {value}")),
            _ => Some(self.target(value as usize)),
        }
    }

    fn cpu_facts(&self, view: &View<'_, Self>, local: &Local) -> Vec<Fact> {
        let mode = match local.space() {
            _ if !local.is(ONLINE) => "offline",
            None => "no address space loaded",
            Some(_) if local.is(USER) => "user mode",
            Some(_) => "lazy",
        };
        let root = local.space().map(|space| {
            let tag = if self.config.tags > 1 { format!(", tag {}", local.tag) } else { String::new() };
            let freed = view.shared.freed_roots >> space & 1 != 0;
            Item { text: format!("{}{tag}", space_name(space)), standing: standing(true, freed) }
        });
        let mut facts = vec![
            Fact::sound("mode", [mode.to_owned()]),
            Fact { name: "root", items: root.into_iter().collect() },
            Fact { name: "TLB", items: self.translations(view, local) },
            Fact { name: "walk cache", items: self.tables_held(view, local) },
        ];
        if self.config.privilege {
            let runs = match local.privilege() {
                Privilege::Kernel => "kernel code",
                Privilege::User => "user code",
            };
            facts.push(Fact::sound("privilege", [runs.to_owned()]));
        }
        if local.in_flight != 0 {
            let values = (1..16).filter(|value| local.in_flight >> value & 1 != 0);
            let dead = |value: usize| view.shared.dead_values >> value & 1 != 0;
            let item = |value| Item { text: self.target(value), standing: standing(true, dead(value)) };
            facts.push(Fact { name: "in flight", items: values.map(item).collect() });
        }
        if !self.tables.kernel.is_empty() {
            facts.push(Fact { name: "kernel TLB", items: self.kernel_held(view, local) });
        }
        if !self.tables.second_stage.is_empty() {
            facts.push(Fact { name: "second stage", items: self.guest_pages_held(view, local) });
        }
        if !self.tables.code.is_empty() {
            facts.push(Fact { name: "code", items: self.code_held(view, local) });
        }
        if let Some(link) = self.kernel_entry(local.space()) {
            facts.push(Fact { name: "kernel walk cache", items: self.kernel_table_held(view, local, link) });
        }
        facts
    }

    fn translations(&self, view: &View<'_, Self>, local: &Local) -> Vec<Item> {
        let mut items = Vec::new();
        for tag in 0..MAX_TAGS {
            let name = if self.config.tags > 1 { format!(" (tag {tag})") } else { String::new() };
            for page in 0..MAX_PAGES {
                for value in (0..16).filter(|value| local.tlb[tag][page] >> value & 1 != 0) {
                    let dead = view.shared.dead_values >> value & 1 != 0;
                    items.push(Item {
                        text: format!("page {page} → {}{name}", self.target(value)),
                        standing: standing(self.mapped(view, page, value), dead),
                    });
                }
            }
        }
        items
    }

    /// Whether a space that `value` may belong to maps `page` to it in memory, or to nothing if it is 0.
    fn mapped(&self, view: &View<'_, Self>, page: usize, value: usize) -> bool {
        let meant = value.checked_sub(1).and_then(|n| self.config.translations.get(n));
        let owner = meant.and_then(|meant| meant.space);
        (0..self.tables.roots.len()).filter(|space| owner.is_none_or(|owner| owner == *space)).any(|space| {
            let table = self.table_of(view, space, page / SLOTS);
            let holds =
                |slot| self.led_to(view, view.memory(self.watched().leaf(table - 1, slot))) == value as u64;
            if table == 0 {
                return value == 0;
            }
            table <= self.tables.leaves.len() && self.slots_for(page, value).any(holds)
        })
    }

    /// The translation that what a leaf has in memory leads to.
    fn led_to(&self, view: &View<'_, Self>, leaf: u64) -> u64 {
        match leaf.checked_sub(1) {
            Some(guest) if !self.tables.second_stage.is_empty() => {
                view.memory(self.watched().second_stage(guest as usize))
            }
            _ => leaf,
        }
    }

    /// The table that memory has in a root entry; 0 is none.
    fn table_of(&self, view: &View<'_, Self>, space: usize, entry: usize) -> usize {
        let there = entry < self.tables.per_space;
        if there { view.memory(self.watched().root(space, entry)) as usize } else { 0 }
    }

    fn tables_held(&self, view: &View<'_, Self>, local: &Local) -> Vec<Item> {
        let mut items = Vec::new();
        for tag in 0..MAX_TAGS {
            let name = if self.config.tags > 1 { format!(" (tag {tag})") } else { String::new() };
            for bit in (0..MAX_ENTRIES * 8).filter(|bit| local.walk[tag] >> bit & 1 != 0) {
                let (entry, table) = (bit / 8, bit % 8 + 1);
                let linked = (0..self.tables.roots.len()).any(|s| self.table_of(view, s, entry) == table);
                let freed = view.shared.freed_tables >> (table - 1) & 1 != 0;
                items.push(Item {
                    text: format!("entry {entry} → table {table}{name}"),
                    standing: standing(linked, freed),
                });
            }
        }
        items
    }

    fn kernel_held(&self, view: &View<'_, Self>, local: &Local) -> Vec<Item> {
        let mut items = Vec::new();
        for page in 0..self.tables.kernel.len() {
            for value in (0..16).filter(|value| local.kernel[page] >> value & 1 != 0) {
                let dead = view.shared.dead_values >> value & 1 != 0;
                items.push(Item {
                    text: format!("kernel page {page} → {}", self.target(value)),
                    standing: standing(view.memory(self.watched().kernel(page)) == value as u64, dead),
                });
            }
        }
        items
    }

    fn guest_pages_held(&self, view: &View<'_, Self>, local: &Local) -> Vec<Item> {
        let mut items = Vec::new();
        for (guest, &held) in local.second_stage.iter().enumerate() {
            for value in (1..16).filter(|value| held >> value & 1 != 0) {
                let dead = view.shared.dead_values >> value & 1 != 0;
                let current = view.memory(self.watched().second_stage(guest)) == value as u64;
                let text = format!("guest page {} → {}", guest + 1, self.target(value));
                items.push(Item { text, standing: standing(current, dead) });
            }
        }
        items
    }

    fn code_held(&self, view: &View<'_, Self>, local: &Local) -> Vec<Item> {
        let mut items = Vec::new();
        for piece in 0..self.tables.code.len() {
            for version in (1..8).filter(|version| local.fetched[piece] >> version & 1 != 0) {
                let obsolete = view.shared.obsolete[piece] >> version & 1 != 0;
                let current = view.memory(self.watched().code(piece)) == version;
                let text = format!("version {version} of code {piece}");
                items.push(Item { text, standing: standing(current, obsolete) });
            }
        }
        items
    }

    fn kernel_table_held(&self, view: &View<'_, Self>, local: &Local, link: usize) -> Vec<Item> {
        let table = self.tables.kernel_table();
        let freed = view.shared.freed_tables >> (table - 1) & 1 != 0;
        let standing = standing(view.memory(link) == table, freed);
        local.kernel_walk.then(|| Item { text: format!("table {table}"), standing }).into_iter().collect()
    }

    /// `frame 1`, and its mode where several values lead to that frame.
    fn target(&self, value: usize) -> String {
        match self.config.translations.get(value.wrapping_sub(1)) {
            Some(meant) if self.leading_to[meant.frame].count_ones() == 1 => format!("frame {}", meant.frame),
            Some(meant) => {
                let mode = if meant.writable { "writable" } else { "read-only" };
                format!("frame {}, {mode}", meant.frame)
            }
            None if value == 0 => "nothing".to_owned(),
            None => format!("value {value}"),
        }
    }

    fn gone(&self, shared: &Shared) -> Vec<Fact> {
        let spaces = |set: u8| (0..MAX_SPACES).filter(move |space| set >> space & 1 != 0).map(space_name);
        let freed = (0..16).filter(|frame| shared.freed_frames >> frame & 1 != 0);
        let written = (0..16).filter(|frame| shared.written_frames >> frame & 1 != 0);
        let tables = (0..8).filter(|table| shared.freed_tables >> table & 1 != 0);
        let revoked = |value: &usize| {
            let frame = self.config.translations[*value - 1].frame;
            shared.dead_values >> value & 1 != 0 && shared.freed_frames >> frame & 1 == 0
        };
        let values = (1..=self.config.translations.len()).filter(revoked);
        let pages = (0..MAX_SPACES * MAX_PAGES).filter(|n| shared.unreachable >> n & 1 != 0);
        let mut facts = vec![
            Fact::sound("frames", freed.map(|frame| format!("frame {frame}"))),
            Fact::sound("tables", tables.map(|table| format!("table {}", table + 1))),
            Fact::sound("roots", spaces(shared.freed_roots).map(|space| format!("root {space}"))),
            Fact::sound("translations", values.map(|value| self.target(value))),
            Fact::sound(
                "pages",
                pages.map(|n| format!("page {} of {}", n % MAX_PAGES, space_name(n / MAX_PAGES))),
            ),
            Fact::sound("written", written.map(|frame| format!("frame {frame}"))),
            Fact::sound("mappings of", spaces(shared.dead_spaces).map(|space| space.to_string())),
            Fact::sound(
                "code",
                self.obsolete_versions(shared).map(|(n, old)| format!("version {old} of code {n}")),
            ),
        ];
        // Frames are what it is all about; of the rest only what there is.
        facts.retain(|fact| fact.name == "frames" || !fact.items.is_empty());
        facts
    }
}

fn standing(agrees: bool, dead: bool) -> Standing {
    match (agrees, dead) {
        (_, true) => Standing::Dangling,
        (true, false) => Standing::Sound,
        (false, false) => Standing::Stale,
    }
}

#[cfg(test)]
mod tests {
    use crate::hw::{self, WalkCache};
    use crate::machine::Machine;
    use core::sync::atomic::Ordering::{Relaxed, SeqCst};
    use shootdown_explore::{Action, Fact, Move, Options, Registry, Scenario, Standing, replay, sync};

    /// Unmaps page 0, gives its frame away and flushes too late.
    struct FlushesLate(Machine);

    impl Scenario for FlushesLate {
        type Device = Machine;
        fn cpus(&self) -> usize {
            1
        }
        fn main(&self, _: usize) {
            self.0.tables.leaf(0, 0).store(0, Relaxed);
            sync::fence(SeqCst);
            hw::user(false);
            hw::free_frame(1);
            hw::flush_page(0, 0, WalkCache::Drop);
        }
        fn device(&self) -> &Machine {
            &self.0
        }
        fn register(&self, registry: &mut Registry) {
            self.0.register(registry, &[]);
        }
    }

    fn held(facts: &[Fact], name: &str) -> Vec<(String, Standing)> {
        let fact = facts.iter().find(|fact| fact.name == name).expect(name);
        fact.items.iter().map(|item| (item.text.clone(), item.standing)).collect()
    }

    #[test]
    fn a_translation_goes_stale_in_memory_and_dangles_once_its_frame_is_free() {
        let machine = Machine::builder(1).translation(1, Some(0), true).map(0, 0, 1).start(0, 0, 0, true);
        let run = Move { cpu: 0, action: Action::Run };
        let drain = Move { cpu: 0, action: Action::Drain(0) };
        let moves = [run, drain, run, run, run];
        let options = Options { snapshots: true, ..Options::default() };
        let trace = replay(&FlushesLate(machine.build()), &options, &moves).expect("possible moves");
        let snapshots = &trace.snapshots;
        assert_eq!(snapshots.len(), moves.len() + 1, "power-on, and after each move");
        let tlb = |at: usize| held(&snapshots[at].cpus[0].facts, "TLB");
        let entry = |standing| vec![("page 0 → frame 1".to_owned(), standing)];
        assert_eq!(tlb(0), entry(Standing::Sound));
        assert_eq!(tlb(1), entry(Standing::Sound), "the store is in the buffer only");
        assert_eq!(tlb(2), entry(Standing::Stale));
        assert_eq!(tlb(5), entry(Standing::Dangling));
        assert_eq!(held(&snapshots[5].facts, "frames")[0].0, "frame 1");
        let leaf = |at: usize| snapshots[at].words.iter().find(|word| word.name == "table1.slot0").cloned();
        assert_eq!(leaf(1).and_then(|word| word.meaning).as_deref(), Some("frame 1"));
        assert_eq!(leaf(2).and_then(|word| word.meaning).as_deref(), Some("nothing"));
        assert_eq!(snapshots[1].cpus[0].buffer.len(), 1);
        assert_eq!(snapshots[0].cpus[0].frames[0].next, "store 0x0 to table1.slot0");
    }
}
