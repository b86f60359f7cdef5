use crate::machine::dissection::Dissection;
use crate::machine::layout::{BARRIER, Layout, entry_cell};
use crate::machine::values::Values;
use crate::machine::violation::Violation;
use crate::machine::weak::messages::Weak;
use core::fmt::Debug;
use core::hash::Hash;

/// What hardware does besides memory and interrupts: one value per machine, state apart from it.
pub trait Device: Sync {
    /// State that all CPUs share (no padding-dependent equality; small).
    type Shared: Copy + Eq + Hash + Debug + Send + Sync + 'static;
    /// State of each CPU.
    type Local: Copy + Eq + Hash + Debug + Send + Sync + 'static;

    /// State at power-on: shared, and one local per CPU.
    fn reset(&self, cpus: usize) -> (Self::Shared, Vec<Self::Local>);

    /// Carries out `op` (from [`crate::sync::device`]) on `cpu`.
    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect;

    /// Runs after every device step and every change of a watched word (in memory or in a store buffer): closes the
    /// state under what hardware may do by itself, then checks it. Must be idempotent and monotone.
    ///
    /// # Errors
    /// The fault of this state.
    fn settle(&self, view: &mut View<'_, Self>) -> Result<(), Violation>;

    /// Checks a state in which every CPU has finished.
    ///
    /// # Errors
    /// The fault.
    fn finish(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        let _ = view;
        Ok(())
    }

    /// Returns what `cpu` uses of what can be given away. Under [`crate::Memory::Weak`] a CPU that gives something away
    /// must know that each use of it is over, as C++ asks of plain accesses: the end of a use is ordered like a store
    /// of its CPU. A CPU that takes away what another one holds knows of all uses through that.
    fn used(&self, view: &View<'_, Self>, cpu: usize) -> Uses {
        let _ = (view, cpu);
        Uses::default()
    }

    /// Returns the violation where `op` gives away on `giver` what `user` may still be using, as far as `giver` knows.
    fn unordered(&self, op: u64, giver: usize, user: usize) -> Violation {
        let what = self.show(op, 0);
        format!("CPU {giver}: {what}, and nothing orders the end of CPU {user}'s use before that").into()
    }

    /// Whether page walks of a CPU may read what was there before stores that the CPU itself knows of, until an
    /// operation [synchronizes](Facts::synchronizes). Only [`crate::Memory::Weak`] asks.
    fn walks_lag(&self) -> bool {
        false
    }

    /// What reductions may assume of `op`.
    fn facts(&self, op: u64) -> Facts;

    /// Words for a drawing.
    fn show(&self, op: u64, result: u64) -> String {
        format!("device {op:#x} = {result}")
    }

    /// The state in words, line by line, for a drawing.
    fn show_state(&self, view: &View<'_, Self>) -> Vec<String> {
        let _ = view;
        Vec::new()
    }

    /// The state taken apart, for a drawing that one can step through.
    fn dissect(&self, view: &View<'_, Self>) -> Dissection {
        let _ = view;
        Dissection::default()
    }

    /// What `value` of watched word `index` (order of [`crate::Registry::watch`]) means to hardware, in words.
    fn show_watched(&self, index: usize, value: u64) -> Option<String> {
        let _ = (index, value);
        None
    }
}

/// Result of a device step.
#[derive(Debug)]
pub enum Effect {
    /// Done, with a value for the caller.
    Done(u64),
    /// Not possible in this state; the CPU waits.
    Blocked,
    /// Breaks a rule, or asks for what the device does not have.
    Violation(Violation),
}

/// Facts about a device operation that the explorer's orderings and reductions rest on.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// Waits until this CPU's store buffer is empty (a serialising instruction) under TSO.
    pub drains_tso: bool,
    /// Likewise under the PSO-like model.
    pub drains_pso: bool,
    /// Is a sequentially consistent fence under [`crate::Memory::Weak`].
    pub fences: bool,
    /// Page walks of all CPUs read what those of this CPU must read, or newer, and what the CPU itself knows where it
    /// fences: a broadcast invalidation that is complete. Only [`crate::Memory::Weak`] asks.
    pub reaches_walks: bool,
    /// From here on this CPU's page walks read, and its interrupts carry, what it knew when the operation began, and
    /// what it has flushed is complete: a barrier that waits for memory and for hardware (aarch64: DSB).
    pub synchronizes: bool,
    /// Has hardware read anew what it reads of some words. Only [`crate::Memory::Weak`] asks.
    pub refetches: Option<Refetch>,
    /// What it ends is over on return. Where not, an operation that synchronizes must come first.
    pub completes: bool,
    /// What it gives away, as [`Device::used`] numbers it.
    pub gives: u64,
    /// When it may run before anything else, unseen.
    pub commutes: Commutes,
}

impl Default for Facts {
    /// An operation at its place in the program, which orders nothing and gives nothing away.
    fn default() -> Self {
        Self {
            drains_tso: false,
            drains_pso: false,
            fences: false,
            reaches_walks: false,
            synchronizes: false,
            refetches: None,
            completes: true,
            gives: 0,
            commutes: Commutes::Never,
        }
    }
}

/// Watched words of which hardware reads, from an operation on, what the CPU that makes it knows, or newer:
/// instructions that are fetched anew. It orders no other walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refetch {
    /// The first of them (order of [`crate::Registry::watch`]).
    pub first: usize,
    /// The first behind them.
    pub end: usize,
    /// Whether the hardware of all CPUs does; otherwise that of this CPU.
    pub everywhere: bool,
}

/// What a CPU uses, as bits: [`Facts::gives`] names the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// What it may use now.
    pub now: u64,
    /// What it holds, used or not: translations in its TLB.
    pub held: u64,
}

/// When a device step is independent of, and its early execution invisible to, everything other CPUs do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commutes {
    /// Never: always an interleaving point.
    Never,
    /// With every step of other CPUs, and of interrupts on this CPU.
    Always,
    /// With every step of other CPUs, but not with interrupts on this CPU.
    Masked,
}

/// Device state and the memory that hardware may read.
pub struct View<'a, D: Device + ?Sized> {
    /// State that all CPUs share.
    pub shared: &'a mut D::Shared,
    /// State of each CPU.
    pub locals: &'a mut [D::Local],
    pub(crate) words: &'a [u16],
    pub(crate) layout: &'a Layout,
    pub(crate) values: &'a Values,
    pub(crate) weak: &'a Weak,
}

impl<D: Device + ?Sized> View<'_, D> {
    /// Returns the value in memory of watched word `index` (order of [`crate::Registry::watch`]).
    ///
    /// # Panics
    /// If there is no such word.
    pub fn memory(&self, index: usize) -> u64 {
        assert!(index < self.layout.watched, "watched word {index} of {}", self.layout.watched);
        self.values.decode(self.layout.cell(self.words, index as u16))
    }
    /// Calls `see` with every value that `cpu`'s own hardware could read of watched word `index` now: memory's,
    /// and each one in its own store buffer; under [`crate::Memory::Weak`], each that its page walks may
    /// still read: what the CPU itself may, or what it might have at its last barrier ([`Device::walks_lag`]), unless
    /// an invalidation has reached them ([`Facts::reaches_walks`]).
    ///
    /// # Panics
    /// If there is no such word.
    pub fn readable(&self, cpu: usize, index: usize, mut see: impl FnMut(u64)) {
        let newest = self.memory(index);
        if self.layout.weak {
            return self.older(cpu, index as u16, see);
        }
        see(newest);
        for (entry, value) in self.layout.entries(self.words, cpu) {
            if entry & BARRIER == 0 && usize::from(entry_cell(entry)) == index {
                see(self.values.decode(value));
            }
        }
    }
}

impl<D: Device + ?Sized> View<'_, D> {
    fn older(&self, cpu: usize, cell: u16, mut see: impl FnMut(u64)) {
        let newest = self.layout.cell(self.words, cell);
        for place in self.weak.oldest_walked(cpu, cell)..=self.weak.newest(cell) {
            see(self.values.decode(self.weak.value(cell, place, newest)));
        }
    }
}

/// No device.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoDevice;

impl Device for NoDevice {
    type Shared = ();
    type Local = ();
    fn reset(&self, cpus: usize) -> ((), Vec<()>) {
        ((), vec![(); cpus])
    }
    fn step(&self, _: &mut View<'_, Self>, _: usize, op: u64) -> Effect {
        Effect::Violation(Violation::Misuse(format!("device operation {op:#x} without a device")))
    }
    fn settle(&self, _: &mut View<'_, Self>) -> Result<(), Violation> {
        Ok(())
    }
    fn facts(&self, _: u64) -> Facts {
        Facts { drains_tso: true, drains_pso: true, fences: true, ..Facts::default() }
    }
}
