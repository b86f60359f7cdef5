//! Unmaps a page of the `x86_64` crate's tables on a machine of one CPU, and says what happens in which order.
//!
//! Run it with `cargo run -p shootdown-with-x86_64 --example munmap`.

use shootdown_adapter_rig::{Frame, running};
use shootdown_with_x86_64::MapperGather;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, OffsetPageTable, Page, PageTable, PageTableFlags, PhysFrame, Size4KiB,
};
use x86_64::{PhysAddr, VirtAddr};

/// Tables are the host's own memory, at the same addresses.
struct Tables;

// SAFETY: each frame is fresh and never given back.
unsafe impl FrameAllocator<Size4KiB> for Tables {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let table = Box::leak(Box::new(PageTable::new()));
        PhysFrame::from_start_address(PhysAddr::new(std::ptr::from_mut(table) as u64)).ok()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (engine, user) = running();
    let top = Box::leak(Box::new(PageTable::new()));
    // SAFETY: the top table is fresh, and frames are at their own addresses.
    let mut mapper = unsafe { OffsetPageTable::new(top, VirtAddr::new(0)) };
    let page = Page::<Size4KiB>::containing_address(VirtAddr::new(0x40_0000));
    let frame = PhysFrame::containing_address(PhysAddr::new(0x7000));
    let flags = PageTableFlags::PRESENT | PageTableFlags::USER_ACCESSIBLE;

    let mut gather = engine.gather::<Frame, 8>(&user);
    // SAFETY: nobody uses the tables.
    let token = unsafe { mapper.map_to(page, frame, flags, &mut Tables) };
    gather.mapped_by(token.map_err(|error| format!("{error:?}"))?);
    gather.unmap(&mut mapper, page, |frame| Frame(frame.start_address().as_u64(), engine.platform()))?;
    gather.finish();
    for did in engine.platform().take() {
        println!("{did:x?}");
    }
    Ok(())
}
