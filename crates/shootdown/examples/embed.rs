// What a kernel writes to use the engine: `cargo run -p shootdown --example embed`.
// One CPU maps, unmaps and tears down.
#![allow(missing_docs, reason = "a doctest of the crate page, too")]
#![cfg_attr(rustfmt, rustfmt::skip)] // a line for each duty of the platform reads best

/// Stand-ins for what every kernel has.
mod arch {
    pub fn this_cpu() -> u32 {
        0
    }
    pub fn irq_disable() -> bool {
        true
    }
    pub fn irq_restore(_: bool) {}
    pub fn send_ipi(_: u32) {}
    pub fn invlpg(_: u64) {}
    pub fn write_cr3(_: u64) {}
    pub fn flush_all() {}
    pub fn run_later(teardown: shootdown::refs::TeardownHandle<super::Kernel>) {
        println!("{teardown:?} waits in a queue");
    }
    pub const KERNEL_ROOT: u64 = 0x1000;
}

use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::Teardown;
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};

struct Kernel { cpus: [CpuLocal; 8] }

// SAFETY: the obligations are listed at `Platform`; each line below meets the one it serves.
unsafe impl Platform for Kernel {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Kernel>;
    type Tags = Untagged;
    type Pin = ();

    fn pin(&self) {}
    fn cpu(&self) -> CpuId { CpuId::new(arch::this_cpu()) }
    fn local(&self, cpu: CpuId) -> &CpuLocal { &self.cpus[cpu.index()] }
    fn irq_save(&self, _: IrqReason) -> bool { arch::irq_disable() }
    fn irq_restore(&self, were_on: bool) { arch::irq_restore(were_on) }
    fn tags(&self) -> &Untagged { &Untagged }
    fn send_ipi(&self, cpu: CpuId) { arch::send_ipi(cpu.number()) } // its handler calls ENGINE.handle_ipi()
    unsafe fn flush_local(&self, what: LocalFlush) {
        let Some(range) = what.request.range() else { return arch::flush_all() };
        range.pages().for_each(|page| arch::invlpg(page.0))
    }
    unsafe fn install(&self, root: Option<u64>, _: Tag, _: OnInstall) {
        arch::write_cr3(root.unwrap_or(arch::KERNEL_ROOT))
    }
    unsafe fn free_root(&self, _: Self::Handle) {} // give the top table back
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) { arch::run_later(teardown.into_handle()) }
}

static ENGINE: Shootdown<Kernel> =
    Shootdown::new(Kernel { cpus: [const { CpuLocal::new() }; 8] }, CpuMask::new());

/// A frame that says when it is given back.
struct Frame(u64);

impl Drop for Frame {
    fn drop(&mut self) {
        println!("frame {:#x} can be reused", self.0);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    ENGINE.online_cpu()?;
    let space = Box::leak(Box::new(ENGINE.new_space(0x2000, CpuMask::new())?));
    let user = ENGINE.register(space).map_err(|(refused, _)| refused)?;
    ENGINE.switch_to(&user);

    // munmap: clear the entry, hand the frame to a gather, flush, let go.
    let mut gather = ENGINE.gather::<Frame, 8>(&user);
    gather.unmapped(PageRange::page(VirtAddr(0x40_0000)), Frame(0x7000))?;
    gather.finish(); // prints that the frame can be reused

    // exit: the last user reference leaves a teardown behind.
    ENGINE.enter_lazy();
    if let Some(teardown) = user.put() {
        teardown.finish();
    }
    let counters = ENGINE.platform().local(CpuId::new(0)).counters();
    assert_eq!((counters.flushes(), counters.ipis_sent()), (1, 0)); // no other CPU had the space loaded
    Ok(())
}
