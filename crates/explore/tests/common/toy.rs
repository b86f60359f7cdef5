//! A toy of what the explorer is for: address spaces with a CPU mask and a generation, IPIs, hardware that fills its
//! TLB from page tables whenever it may, and an oracle that looks when a frame is freed.
#![allow(dead_code, reason = "each user takes its part")]

use shootdown_explore::sync::{Word, cpu, device, fence, irq_restore, irq_save, note, raise, wait_until};
use shootdown_explore::{Commutes, Device, Effect, Facts, Registry, Scenario, View, Violation};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Pages of a space.
pub const PAGES: usize = 2;
/// Page-table words of a space; those beyond `PAGES` only make states longer.
const ENTRIES: usize = 14;
const SWITCHING: u64 = 9;

// Device operations: kind in the high byte.
const LOAD_ROOT: u64 = 1 << 8;
const FLUSH_PAGE: u64 = 2 << 8;
const FLUSH_ALL: u64 = 3 << 8;
const FREE: u64 = 4 << 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Unmap(usize, usize),
    Switch(usize),
    Lazy,
}

struct Space {
    mask: Word,
    generation: Word,
    entries: [Word; ENTRIES],
}

struct PerCpu {
    loaded: Word,
    lazy: Word,
    seen: [Word; 2],
    asked: Word,
    ipi_pending: Word,
    served: Word,
    work: [Word; 8],
}

/// One TLB per CPU, as sets of frames per space and page, and the set of freed frames.
pub struct Hardware {
    root: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tlb {
    root: u8,
    held: [[u8; PAGES]; 2],
}

impl Device for Hardware {
    type Shared = u8;
    type Local = Tlb;
    fn reset(&self, cpus: usize) -> (u8, Vec<Tlb>) {
        let tlb = |cpu: usize| Tlb { root: self.root[cpu] as u8, held: [[0; PAGES]; 2] };
        (0, (0..cpus).map(tlb).collect())
    }
    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect {
        let (space, page) = ((op >> 4 & 0xf) as usize, (op & 0xf) as usize);
        match op & 0xf00 {
            LOAD_ROOT => view.locals[cpu] = Tlb { root: op as u8, held: [[0; PAGES]; 2] },
            FLUSH_PAGE => view.locals[cpu].held[space][page] = 0,
            FLUSH_ALL => view.locals[cpu].held = [[0; PAGES]; 2],
            _ => *view.shared |= 1 << (op & 7),
        }
        Effect::Done(0)
    }
    fn settle(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        for cpu in 0..view.locals.len() {
            let mut tlb = view.locals[cpu];
            if tlb.root == 0 {
                continue;
            }
            let space = usize::from(tlb.root) - 1;
            for (page, held) in tlb.held[space].iter_mut().enumerate() {
                view.readable(cpu, space * ENTRIES + page, |frame| {
                    if frame != 0 {
                        *held |= 1 << (frame - 1);
                    }
                });
                if *held & *view.shared != 0 {
                    return Err(format!(
                        "CPU {cpu} can still reach a freed frame through page {page} of space {space}"
                    )
                    .into());
                }
            }
            view.locals[cpu] = tlb;
        }
        Ok(())
    }
    fn facts(&self, op: u64) -> Facts {
        let commutes = if op & 0xf00 == FREE { Commutes::Always } else { Commutes::Never };
        Facts { drains_tso: op & 0xf00 != FREE, commutes, ..Facts::default() }
    }
}

pub struct Toy {
    spaces: [Space; 2],
    cpus: Vec<PerCpu>,
    calls: Vec<Vec<Call>>,
    hardware: Hardware,
    /// Skips everyone else's TLB.
    pub shortcut: bool,
}

impl Toy {
    /// `loaded`: which space each CPU starts in.
    pub fn new(loaded: &[usize], calls: &[&[Call]]) -> Self {
        let mut next = 0;
        let mut frame = |index: usize, space: usize| {
            next += 1;
            if index < PAGES { (space * PAGES + index + 1) as u64 } else { 0 }
        };
        let mask = |space: usize| {
            let inside = loaded.iter().enumerate().filter(|&(_, &at)| at == space);
            inside.fold(0, |mask, (cpu, _)| mask | 1 << cpu)
        };
        let space = |space: usize| Space {
            mask: Word::new("mask", mask(space)),
            generation: Word::new("generation", 1),
            entries: std::array::from_fn(|index| Word::new("pte", frame(index, space))),
        };
        Self {
            spaces: [0, 1].map(space),
            cpus: loaded.iter().map(|&space| PerCpu::new(space)).collect(),
            calls: calls.iter().map(|calls| calls.to_vec()).collect(),
            hardware: Hardware { root: loaded.iter().map(|&space| space as u64 + 1).collect() },
            shortcut: false,
        }
    }

    fn me(&self) -> &PerCpu {
        &self.cpus[cpu()]
    }

    fn bit() -> u64 {
        1 << cpu()
    }

    /// Flushes what this CPU has missed of `space`.
    fn catch_up(&self, space: usize) {
        let generation = self.spaces[space].generation.load(Acquire);
        if self.me().seen[space].load(Relaxed) != generation {
            device(FLUSH_ALL);
            self.me().seen[space].store(generation, Relaxed);
        }
    }

    fn switch(&self, space: usize) {
        let me = self.me();
        let on = irq_save();
        let current = me.loaded.load(Relaxed);
        if current == space as u64 + 1 {
            me.lazy.store(0, Relaxed);
            fence(SeqCst);
            self.catch_up(space);
            irq_restore(on);
            return;
        }
        me.loaded.store(SWITCHING, Relaxed);
        self.spaces[space].mask.fetch_or(Self::bit(), AcqRel);
        fence(SeqCst);
        let generation = self.spaces[space].generation.load(Acquire);
        device(LOAD_ROOT | (space as u64 + 1));
        me.seen[space].store(generation, Relaxed);
        me.lazy.store(0, Relaxed);
        me.loaded.store(space as u64 + 1, Release);
        if current != 0 {
            fence(SeqCst);
            self.spaces[current as usize - 1].mask.fetch_and(!Self::bit(), AcqRel);
        }
        irq_restore(on);
    }

    fn flush(&self, space: usize, page: usize) {
        let home = &self.spaces[space];
        let generation = home.generation.fetch_add(1, AcqRel) + 1;
        fence(SeqCst);
        let others = home.mask.load(Relaxed) & !Self::bit();
        let mut tickets = [0; 4];
        for (target, ticket) in tickets[..self.cpus.len()].iter_mut().enumerate() {
            if others >> target & 1 != 0 && !self.shortcut {
                let loaded = self.cpus[target].loaded.load(Relaxed);
                let lazy = loaded == space as u64 + 1 && self.cpus[target].lazy.load(Relaxed) != 0;
                if (loaded == SWITCHING || loaded == space as u64 + 1) && !lazy {
                    *ticket = self.send_ipi(target);
                }
            }
        }
        let on = irq_save();
        let me = self.me();
        if me.loaded.load(Relaxed) == space as u64 + 1 {
            if me.seen[space].load(Relaxed) == generation - 1 {
                device(FLUSH_PAGE | (space as u64) << 4 | page as u64);
                me.seen[space].store(generation, Relaxed);
            } else {
                self.catch_up(space);
            }
        }
        irq_restore(on);
        for (target, ticket) in tickets.into_iter().enumerate() {
            if ticket != 0 {
                wait_until(|| self.cpus[target].served.load(Acquire) >= ticket);
            }
        }
    }

    fn send_ipi(&self, target: usize) -> u64 {
        let ticket = self.cpus[target].asked.fetch_add(1, AcqRel) + 1;
        if self.cpus[target].ipi_pending.swap(1, AcqRel) == 0 {
            raise(target, 0);
        }
        ticket
    }

    fn unmap(&self, space: usize, page: usize) {
        let entry = &self.spaces[space].entries[page];
        let frame = entry.load(Relaxed);
        entry.store(0, Relaxed);
        self.flush(space, page);
        device(FREE | (frame - 1));
    }
}

impl PerCpu {
    fn new(space: usize) -> Self {
        let seen = |at: usize| Word::new("seen", u64::from(at == space));
        Self {
            loaded: Word::new("loaded", space as u64 + 1),
            lazy: Word::new("lazy", 0),
            seen: [seen(0), seen(1)],
            asked: Word::new("asked", 0),
            ipi_pending: Word::new("ipi_pending", 0),
            served: Word::new("served", 0),
            work: [const { Word::new("work", 0) }; 8],
        }
    }
}

impl Scenario for Toy {
    type Device = Hardware;
    fn cpus(&self) -> usize {
        self.cpus.len()
    }
    fn main(&self, cpu: usize) {
        for (index, call) in self.calls[cpu].iter().enumerate() {
            match *call {
                Call::Unmap(space, page) => {
                    note("unmap");
                    self.unmap(space, page);
                }
                Call::Switch(space) => {
                    note("switch");
                    self.switch(space);
                }
                Call::Lazy => {
                    note("lazy");
                    self.me().lazy.store(1, Relaxed);
                }
            }
            self.me().work[index % 8].store(1, Relaxed);
        }
    }
    fn interrupt(&self, cpu: usize, _: u8) {
        note("IPI");
        let me = &self.cpus[cpu];
        me.ipi_pending.swap(0, AcqRel);
        let asked = me.asked.load(Acquire);
        let loaded = me.loaded.load(Relaxed);
        if loaded != 0 && loaded != SWITCHING {
            self.catch_up(loaded as usize - 1);
        }
        me.served.store(asked, Release);
    }
    fn device(&self) -> &Hardware {
        &self.hardware
    }
    fn register(&self, registry: &mut Registry) {
        for (space, name) in self.spaces.iter().zip(["A", "B"]) {
            registry.object(name, space);
            for entry in &space.entries {
                registry.watch(entry);
            }
        }
        for (cpu, local) in self.cpus.iter().enumerate() {
            registry.local(cpu, format!("cpu{cpu}"), local);
        }
    }
}
