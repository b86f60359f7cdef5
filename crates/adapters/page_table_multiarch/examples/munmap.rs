//! Maps and unmaps a page on a machine of one CPU, and says what happens in which order.
//!
//! Run it with `cargo run -p shootdown-with-page_table_multiarch --example munmap`.

#[path = "../tests/support/mod.rs"]
mod support;

use memory_addr::{PhysAddr, VirtAddr};
use page_table_multiarch::{MappingFlags, PageSize};
use shootdown_adapter_rig::{Frame, running};
use shootdown_with_page_table_multiarch::SharedPageTable;
use support::{Entry, Host, Metadata};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (engine, user) = running();
    let table = SharedPageTable::<Metadata, Entry, Host>::try_new();
    let mut table = table.map_err(|error| format!("{error:?}"))?;
    let page = VirtAddr::from_usize(0x40_0000);
    table.map(page, PhysAddr::from_usize(0x7000), PageSize::Size4K, MappingFlags::READ)?;

    let mut gather = engine.gather::<Frame, 8>(&user);
    table.unmap(&mut gather, page, |address, _| Frame(address.as_usize() as u64, engine.platform()))?;
    gather.finish();
    for did in engine.platform().take() {
        println!("{did:x?}");
    }
    Ok(())
}
