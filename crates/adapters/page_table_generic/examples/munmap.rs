//! Maps and unmaps a page on a machine of one CPU, and says what happens in which order.
//!
//! Run it with `cargo run -p shootdown-with-page-table-generic --example munmap`.

#[path = "../tests/support/mod.rs"]
mod support;

use page_table_generic::{MapConfig, PhysAddr, VirtAddr};
use shootdown_adapter_rig::{Frame, running};
use shootdown_with_page_table_generic::{Held, SharedPageTable};
use support::{Host, Metadata};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (engine, user) = running();
    let tables = Host::default();
    let mut table = SharedPageTable::<Metadata, Host>::new(tables.clone())?;
    let (vaddr, paddr) = (VirtAddr::from_usize(0x40_0000), PhysAddr::from_usize(0x7000));
    table.map(&MapConfig { vaddr, paddr, size: 0x1000, pte: 3, allow_huge: false, flush: false })?;
    println!("{} tables", tables.tables());

    let mut gather = engine.gather::<Held<Frame, Host>, 8>(&user);
    table.unmap(&mut gather, vaddr, |address, _| Frame(address.as_usize() as u64, engine.platform()))?;
    gather.finish();
    for did in engine.platform().take() {
        println!("{did:x?}");
    }
    println!("{} table", tables.tables());
    Ok(())
}
