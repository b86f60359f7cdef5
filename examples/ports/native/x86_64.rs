//! Ports of an x86-64 machine with PCIDs, INVPCID and an xAPIC.

// ANCHOR: x86
use shootdown::flush::Levels;
use shootdown::flush::VirtAddr;
use shootdown::ports::{Entries, Ports};
use shootdown::tags::OnInstall;
use shootdown_x86_64::encode::{InvpcidDescriptor, InvpcidType, LinearWidth, Pcid, Root, cr3};
use shootdown_x86_64::exec;

/// The machine. What the arch crate does not have are functions of the kernel.
#[derive(Clone, Copy, Debug)]
pub struct X86 {
    kernel_root: u64,
    /// Number of the calling CPU, from GS.
    this_cpu: fn() -> u32,
    /// Writes the interrupt command register of the xAPIC.
    send_interrupt: fn(u32),
    /// Gives a frame back.
    free_frame: fn(u64),
}

impl X86 {
    /// Makes the ports.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. they are used in ring 0, on CPUs with INVPCID whose CR4.PCIDE and CR4.PGE are set;
    /// 2. every root that is written maps the running kernel, as `kernel_root` does.
    pub const unsafe fn new(
        kernel_root: u64,
        this_cpu: fn() -> u32,
        send_interrupt: fn(u32),
        free_frame: fn(u64),
    ) -> Self {
        Self { kernel_root, this_cpu, send_interrupt, free_frame }
    }

    fn invpcid(self, kind: InvpcidType, descriptor: InvpcidDescriptor) {
        // SAFETY: 1. and 2. the caller of `new` ensures it.
        unsafe { exec::invpcid(kind, descriptor) };
    }
}

fn pcid(tag: u16) -> Pcid {
    Pcid::new(tag).expect("tags of PerCpuSlots are small")
}

impl Ports for X86 {
    fn this_cpu(&self) -> u32 {
        (self.this_cpu)()
    }
    fn interrupts_off(&self) -> bool {
        // SAFETY: 1. the caller of `new` ensures it.
        let flags = unsafe { exec::interrupts_off() };
        flags & 1 << 9 != 0
    }
    fn interrupts_on(&self) {
        // SAFETY: 1. the caller of `new` ensures it.
        unsafe { exec::interrupts_on() };
    }
    /// Nothing: the command register is uncached memory, and stores reach that in order.
    fn order_before_interrupt(&self) {}
    fn send_interrupt(&self, cpu: u32) {
        (self.send_interrupt)(cpu);
    }
    /// Nothing: walks see stores in the order of memory.
    fn publish_tables(&self) {}
    fn kernel_root(&self) -> u64 {
        self.kernel_root
    }
    fn write_root(&self, root: u64, tag: u16, entries: Entries) {
        let how = match entries {
            Entries::Kept => OnInstall::Keep,
            Entries::Dropped => OnInstall::Flush,
        };
        let root = Root::new(root).expect("a root is a page");
        // SAFETY: 1. and 2. the caller of `new` ensures it.
        unsafe { exec::write_cr3(cr3(root, pcid(tag), how)) };
    }
    fn drop_page(&self, tag: u16, address: u64, levels: Levels) {
        // INVPCID of an address leaves the walker's upper levels.
        match InvpcidDescriptor::address(pcid(tag), VirtAddr(address), LinearWidth::Bits48) {
            Ok(page) if levels == Levels::Leaf => self.invpcid(InvpcidType::Address, page),
            _ => self.drop_tag(tag),
        }
    }
    fn drop_tag(&self, tag: u16) {
        self.invpcid(InvpcidType::Context, InvpcidDescriptor::context(pcid(tag)));
    }
    fn drop_kernel_page(&self, address: u64, levels: Levels) {
        match levels {
            // SAFETY: 1. the caller of `new` ensures it. Kernel pages are global: this reaches them under every PCID.
            Levels::Leaf => unsafe { exec::invlpg(VirtAddr(address)) },
            // The walker caches kernel tables under each PCID.
            Levels::All => self.drop_all(),
        }
    }
    fn drop_all(&self) {
        self.invpcid(InvpcidType::AllWithGlobals, InvpcidDescriptor::all());
    }
    /// Nothing: an invalidation is over when its instruction is.
    fn complete(&self) {}
    fn free_root(&self, root: u64) {
        (self.free_frame)(root);
    }
}
// ANCHOR_END: x86
