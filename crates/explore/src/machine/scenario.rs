use crate::machine::device::Device;
use crate::machine::registry::Registry;

/// Whether the handler of an interrupt knows what its sender had done. Only [`crate::Memory::Weak`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interrupts {
    /// An interrupt may overtake the sender's stores, and the handler may read what was there before them. So may an
    /// SGI of GICv3 without `dsb ishst`, and a write to the ICR of an x2APIC without a fence.
    Overtake,
    /// A handler knows what the sender knew, as if raising released and taking acquired.
    Follow,
}

/// What runs: the code of each CPU and of its interrupt handlers, on one device. Built once, never changed during
/// an exploration: all that changes lives in words and in the device's state.
pub trait Scenario: Sync {
    /// The device.
    type Device: Device;
    /// Number of CPUs.
    fn cpus(&self) -> usize;
    /// What `cpu` runs, from start to end.
    fn main(&self, cpu: usize);
    /// Handler of interrupt `line` on `cpu`; runs with interrupts off.
    fn interrupt(&self, cpu: usize, line: u8) {
        panic!("cpu {cpu}: interrupt {line} has no handler");
    }
    /// The device.
    fn device(&self) -> &Self::Device;
    /// Names the objects that hold words, and the words that hardware reads.
    fn register(&self, registry: &mut Registry);
    /// Lines pending at start, per CPU, as bits: an interrupt that may come at any time, once.
    fn pending_at_start(&self, cpu: usize) -> u32 {
        let _ = cpu;
        0
    }
    /// Lines that are taken even with interrupts off (NMIs), as bits.
    fn non_maskable(&self) -> u32 {
        0
    }
    /// Whether interrupts may overtake stores. By default they may: whatever holds then holds on every platform.
    fn interrupts(&self) -> Interrupts {
        Interrupts::Overtake
    }
    /// A number that code under check reads back with [`crate::sync::context`] (which fault to inject, say).
    fn context(&self) -> u64 {
        0
    }
    /// Groups of CPUs that are interchangeable: same code, which never asks which CPU it runs on.
    fn symmetric(&self) -> Vec<Vec<usize>> {
        Vec::new()
    }
}

/// So that scenarios of many types can share one compiled explorer.
impl<S: Scenario + ?Sized> Scenario for Box<S> {
    type Device = S::Device;
    fn cpus(&self) -> usize {
        (**self).cpus()
    }
    fn main(&self, cpu: usize) {
        (**self).main(cpu);
    }
    fn interrupt(&self, cpu: usize, line: u8) {
        (**self).interrupt(cpu, line);
    }
    fn device(&self) -> &S::Device {
        (**self).device()
    }
    fn register(&self, registry: &mut Registry) {
        (**self).register(registry);
    }
    fn pending_at_start(&self, cpu: usize) -> u32 {
        (**self).pending_at_start(cpu)
    }
    fn non_maskable(&self) -> u32 {
        (**self).non_maskable()
    }
    fn interrupts(&self) -> Interrupts {
        (**self).interrupts()
    }
    fn context(&self) -> u64 {
        (**self).context()
    }
    fn symmetric(&self) -> Vec<Vec<usize>> {
        (**self).symmetric()
    }
}
