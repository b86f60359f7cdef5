//! A machine in software, for customers of the coherence layer: four CPUs with tagged TLBs, interrupts, page tables,
//! and a hypervisor below. One thread runs all CPUs in turn, so that each program does the same on every run.
//!
//! The machine is [`Ports`], as the simulated machine of `shootdown doctor` is: a customer's `platform.rs` runs on
//! either.

use shootdown::flush::{Levels, PageRange, VirtAddr};
use shootdown::ports::{Entries, FlushCalls, Ports};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// CPUs.
pub const CPUS: usize = 4;

/// The machine.
#[derive(Debug)]
pub struct Machine {
    me: AtomicU32,
    /// What the interrupt between CPUs calls.
    handler: fn(),
    cpus: [Interrupts; CPUS],
    state: Mutex<State>,
}

#[derive(Debug)]
struct Interrupts {
    on: AtomicBool,
    taken: AtomicU32,
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
    /// Makes the machine; each CPU has root 0 loaded, which maps nothing, and interrupts on.
    pub const fn new(handler: fn()) -> Self {
        let cpus = [const { Cpu { root: 0, tag: 0, tlb: BTreeMap::new() } }; CPUS];
        Self {
            me: AtomicU32::new(0),
            handler,
            cpus: [const { Interrupts { on: AtomicBool::new(true), taken: AtomicU32::new(0) } }; CPUS],
            state: Mutex::new(State { cpus, tables: BTreeMap::new() }),
        }
    }

    /// Runs `body` on a CPU.
    pub fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let before = self.me.swap(cpu, Relaxed);
        let answer = body();
        self.me.store(before, Relaxed);
        answer
    }

    /// Runs `body` on each CPU.
    pub fn on_each(&self, body: impl Fn()) {
        (0..CPUS as u32).for_each(|cpu| self.on(cpu, &body));
    }

    /// How many interrupts a CPU has taken.
    pub fn interrupts_taken(&self, cpu: u32) -> u32 {
        self.cpus[cpu as usize].taken.load(Relaxed)
    }

    /// Writes a page-table entry, and returns what it held.
    pub fn set(&self, root: u64, page: u64, frame: Option<u64>) -> Option<u64> {
        let mut state = self.state.lock().expect("no test panics in it");
        match frame {
            Some(frame) => state.tables.insert((root, page), frame),
            None => state.tables.remove(&(root, page)),
        }
    }

    /// The root that is loaded on the calling CPU.
    pub fn root(&self) -> u64 {
        self.with(|cpu| cpu.root)
    }

    /// The frame that user code of the calling CPU reaches: by its TLB, else by a walk that fills the TLB.
    pub fn read(&self, page: u64) -> Option<u64> {
        let mut state = self.state.lock().expect("no test panics in it");
        let State { cpus, tables } = &mut *state;
        let cpu = &mut cpus[self.me.load(Relaxed) as usize];
        if let Some(&frame) = cpu.tlb.get(&(cpu.tag, page)) {
            return Some(frame);
        }
        let frame = *tables.get(&(cpu.root, page))?;
        cpu.tlb.insert((cpu.tag, page), frame);
        Some(frame)
    }

    fn with<R>(&self, then: impl FnOnce(&mut Cpu) -> R) -> R {
        then(&mut self.state.lock().expect("no test panics in it").cpus[self.me.load(Relaxed) as usize])
    }

    /// Keeps the entries of the calling CPU's TLB that `keep` says.
    fn keep(&self, keep: impl Fn(u16, u64) -> bool) {
        self.with(|cpu| cpu.tlb.retain(|&(tag, page), _| keep(tag, page)));
    }
}

impl Ports for &'static Machine {
    fn this_cpu(&self) -> u32 {
        self.me.load(Relaxed)
    }
    fn interrupts_off(&self) -> bool {
        self.cpus[self.this_cpu() as usize].on.swap(false, Relaxed)
    }
    fn interrupts_on(&self) {
        self.cpus[self.this_cpu() as usize].on.store(true, Relaxed);
    }
    fn order_before_interrupt(&self) {}
    /// The target takes it before the call returns.
    fn send_interrupt(&self, cpu: u32) {
        self.on(cpu, || {
            assert!(self.interrupts_off(), "CPU {cpu} is in the middle of something");
            self.cpus[cpu as usize].taken.fetch_add(1, Relaxed);
            (self.handler)();
            self.interrupts_on();
        });
    }
    fn publish_tables(&self) {}
    fn kernel_root(&self) -> u64 {
        0
    }
    fn write_root(&self, root: u64, tag: u16, entries: Entries) {
        self.with(|cpu| (cpu.root, cpu.tag) = (root, tag));
        if entries == Entries::Dropped {
            self.drop_tag(tag);
        }
    }
    fn drop_page(&self, tag: u16, address: u64, _: Levels) {
        self.keep(|of, page| (of, page) != (tag, address));
    }
    fn drop_tag(&self, tag: u16) {
        self.keep(|of, _| of != tag);
    }
    fn drop_kernel_page(&self, address: u64, _: Levels) {
        self.keep(|_, page| page != address);
    }
    fn drop_all(&self) {
        self.keep(|_, _| false);
    }
    fn complete(&self) {}
    fn free_root(&self, _: u64) {}
}

impl FlushCalls for &'static Machine {
    /// Flushes everything on the processors of the third word of the input, a mask, and carries all ranges out.
    fn flush_call(&self, control: u64, input: &[u64]) -> u64 {
        for cpu in (0..CPUS as u32).filter(|cpu| input[2] >> cpu & 1 != 0) {
            self.on(cpu, || self.drop_all());
        }
        control & 0xfff << 32
    }
}

/// A page of 4 KiB.
pub const fn page(address: u64) -> PageRange {
    PageRange::page(VirtAddr(address))
}
