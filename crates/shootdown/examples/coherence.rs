// What a kernel writes that loads roots in its trampoline: `cargo run -p shootdown --example coherence`.
// One CPU runs a process, unmaps a page of it, and ends it.
#![allow(missing_docs, reason = "a doctest of the module page, too")]
#![cfg_attr(rustfmt, rustfmt::skip)] // a line for each duty of the platform reads best

/// Stand-ins for what every kernel has.
mod arch {
    pub fn hart() -> u32 {
        0
    }
    pub fn interrupts_off() -> bool {
        false // they were off: the kernel is on its way to user mode
    }
    pub fn interrupts_on() {}
    pub fn sbi_send_ipi(_hart_mask: u64, _base: u32) {}
    pub fn sfence_vma_all() {}
    pub fn sfence_vma(_: u64) {}
    /// The trampoline: writes satp, flushes, and returns to user mode. Here, user mode comes back at once.
    pub fn userret(_satp: u64) {}
}

// README: begin
use shootdown::coherence::{Coherence, Coherent, Rootless, SendIpis};
use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::{CpuMask, CpuSet};
use shootdown::{CpuId, CpuLocal};

struct Harts { cpus: [CpuLocal; 8] }

// SAFETY: the obligations are listed at `Coherence`; the kernel's root is loaded wherever Rust runs.
unsafe impl Coherence for Harts {
    fn cpu(&self) -> CpuId { CpuId::new(arch::hart()) }
    fn local(&self, cpu: CpuId) -> &CpuLocal { &self.cpus[cpu.index()] }
    fn irq_save(&self) -> bool { arch::interrupts_off() }
    fn irq_restore(&self, were_on: bool) { if were_on { arch::interrupts_on() } }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let Some(range) = what.request.range() else { return arch::sfence_vma_all() };
        range.pages().for_each(|page| arch::sfence_vma(page.0));
    }
}

// SAFETY: 1. the handler of software interrupts calls `ENGINE.handle_ipi()`.
unsafe impl SendIpis for Harts {
    fn send_ipis(&self, to: CpuSet) { arch::sbi_send_ipi(to.bits(), to.first().number()) }
}

static ENGINE: Coherent<Harts> =
    Coherent::new(Rootless::new(Harts { cpus: [const { CpuLocal::new() }; 8] }), CpuMask::new());
// README: end

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ENGINE.online_cpu()?;
    let process = ENGINE.new_space(0x8000_2000, CpuMask::new())?;

    // Return to user mode. Without tags the trampoline flushes with each write of satp, which is what `entry.how()` would say.
    let entry = ENGINE.enter(&process);
    // SAFETY: 1. the kernel's root is loaded; 2. interrupts are off, and stay off until `userret` has written satp; 3. `process`
    // is retired below; 4. nothing else is called.
    unsafe { entry.will_load() };
    arch::userret(process.root());

    // munmap: clear the entry, hand the frame to a gather, flush, let go.
    let mut gather = ENGINE.gather::<u64, 8>(&process);
    gather.unmapped(PageRange::page(VirtAddr(0x40_0000)), 0x7000).map_err(|_| "the gather is full")?;
    gather.send().finish_with(|frame| println!("frame {frame:#x} can be reused"));

    // exit: user code has stopped for good.
    ENGINE.enter_lazy();
    ENGINE.leave();
    ENGINE.retire(&process);
    Ok(())
}
