//! Page tables that software walks without a lock, and three ways to free them under it.

#[allow(dead_code, reason = "an example uses a part of the machine")]
mod machine {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs"));
}

use machine::{ENGINE, Machine, boot, ipis, on};
use shootdown::AddressSpace;
use shootdown::flush::{FlushRequest, Full, PageRange, PageSize, Retired, VirtAddr};

/// A page table, as its owner knows it.
type Table = u64;
type Space = AddressSpace<Machine>;

// ANCHOR: interrupts
/// Frees a table that maps `range`. Walkers have interrupts off, and the flush may interrupt not all of them.
fn free_table(
    space: &Space,
    range: PageRange,
    table: Table,
    free: impl FnMut(Table),
) -> Result<(), Full<Table>> {
    let mut gather = ENGINE.gather::<Table, 1>(space);
    // ... unhook the table, then:
    gather.table_freed(range, table)?;
    let pending = gather.send();
    ENGINE.flush_kernel(FlushRequest::contexts()); // every CPU has had its interrupts on
    pending.finish_with(free);
    Ok(())
}
// ANCHOR_END: interrupts

// ANCHOR: rcu
/// Frees a table whose walkers are in read-side critical sections; `after_grace_period` is `call_rcu`, say.
fn free_table_by_rcu(
    space: &Space,
    range: PageRange,
    table: Table,
    after_grace_period: impl FnMut(Table),
) -> Result<(), Full<Table>> {
    let mut gather = ENGINE.gather::<Table, 1>(space);
    // ... unhook the table, then:
    gather.table_freed(range, table)?;
    gather.send().finish_with(after_grace_period);
    Ok(())
}
// ANCHOR_END: rcu

// ANCHOR: hazards
/// Takes out of a queue what hardware is done with. What a hazard pointer names is kept, and looked at again later.
fn reclaim(
    queue: &mut Retired<'_, Machine, Table, 64>,
    hazards: &[Option<Table>],
    kept: &mut Vec<Table>,
    mut free: impl FnMut(Table),
) {
    queue.reclaim(|table| if hazards.contains(&Some(table)) { kept.push(table) } else { free(table) });
}
// ANCHOR_END: hazards

fn main() -> Result<(), Full<Table>> {
    let user = boot(0x1000);
    (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    let mapped = PageRange::new(VirtAddr(0), 512, PageSize::Size4K).expect("a whole table");
    let (mut freed, mut later, mut kept) = (Vec::new(), Vec::new(), Vec::new());

    free_table(&user, mapped, 7, |table| freed.push(table))?;
    assert_eq!((freed.as_slice(), ipis()), (&[7][..], 1 + 3));

    free_table_by_rcu(&user, mapped, 8, |table| later.push(table))?;
    assert_eq!(later, [8]);

    let mut queue = Retired::new(&ENGINE);
    for table in [9, 10] {
        let mut gather = ENGINE.gather::<Table, 1>(&user);
        gather.table_freed(mapped, table)?;
        assert!(gather.send().retire_into(&mut queue).is_ok());
    }
    reclaim(&mut queue, &[None, Some(9)], &mut kept, |table| freed.push(table));
    assert_eq!((kept, freed), (vec![9], vec![7, 10]));
    Ok(())
}
