//! A machine in software, for the programs of this package: four CPUs with tagged TLBs, and page tables. One thread runs all CPUs in
//! turn, so that each program does the same on every run.

use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use shootdown::{CpuId, CpuLocal};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// CPUs.
pub const CPUS: usize = 4;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    /// Memory for the engine.
    pub locals: [CpuLocal; CPUS],
    me: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cpus: [Cpu; CPUS],
    /// From root and page to frame.
    tables: BTreeMap<(u64, u64), u64>,
}

#[derive(Debug)]
struct Cpu {
    root: u64,
    tag: u16,
    /// From tag and page to frame.
    tlb: BTreeMap<(u16, u64), u64>,
}

impl Machine {
    /// Makes the machine; each CPU has root 0 loaded, which maps nothing.
    pub const fn new() -> Self {
        let cpus = [const { Cpu { root: 0, tag: 0, tlb: BTreeMap::new() } }; CPUS];
        let state = Mutex::new(State { cpus, tables: BTreeMap::new() });
        Self { locals: [const { CpuLocal::new() }; CPUS], me: AtomicU32::new(0), state }
    }

    /// The CPU that runs the caller.
    pub fn cpu(&self) -> CpuId {
        CpuId::new(self.me.load(Relaxed))
    }

    /// Runs `body` on a CPU.
    pub fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let before = self.me.swap(cpu, Relaxed);
        let answer = body();
        self.me.store(before, Relaxed);
        answer
    }

    /// Writes a page-table entry, and returns what it held.
    pub fn set(&self, root: u64, page: u64, frame: Option<u64>) -> Option<u64> {
        let mut state = self.state.lock().expect("no test panics in it");
        match frame {
            Some(frame) => state.tables.insert((root, page), frame),
            None => state.tables.remove(&(root, page)),
        }
    }

    /// Loads a root under a tag on the calling CPU.
    pub fn load_root(&self, root: u64, tag: u16) {
        self.with(|cpu| (cpu.root, cpu.tag) = (root, tag));
    }

    /// The root that is loaded on the calling CPU.
    pub fn root(&self) -> u64 {
        self.with(|cpu| cpu.root)
    }

    /// Drops translations of the calling CPU: of a tag, or of all.
    pub fn flush(&self, tag: Option<u16>, request: FlushRequest) {
        let covers = |page| request.range().is_none_or(|range| holds(range, page));
        self.with(|cpu| cpu.tlb.retain(|&(of, page), _| tag.is_some_and(|tag| tag != of) || !covers(page)));
    }

    /// The frame that user code of the calling CPU reaches: by its TLB, else by a walk that fills the TLB.
    pub fn read(&self, page: u64) -> Option<u64> {
        let mut state = self.state.lock().expect("no test panics in it");
        let State { cpus, tables } = &mut *state;
        let cpu = &mut cpus[self.cpu().index()];
        if let Some(&frame) = cpu.tlb.get(&(cpu.tag, page)) {
            return Some(frame);
        }
        let frame = *tables.get(&(cpu.root, page))?;
        cpu.tlb.insert((cpu.tag, page), frame);
        Some(frame)
    }

    fn with<R>(&self, then: impl FnOnce(&mut Cpu) -> R) -> R {
        then(&mut self.state.lock().expect("no test panics in it").cpus[self.cpu().index()])
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

fn holds(range: PageRange, page: u64) -> bool {
    page.wrapping_sub(range.start().0) < range.count() * range.size().bytes()
}

/// A page of 4 KiB.
pub const fn page(address: u64) -> PageRange {
    PageRange::page(VirtAddr(address))
}
