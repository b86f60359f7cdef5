//! Page tables that software walks without a lock, and three ways to free them under it.

#[allow(dead_code, reason = "an example uses a part of the machine")]
mod machine {
    include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs"));
}

use machine::{ENGINE, boot, ipis, on};
use shootdown::flush::{FlushRequest, Full, PageRange, PageSize, Retired, VirtAddr};

/// A page table, as its owner knows it.
type Table = u64;

/// What a list of callbacks would be in a kernel (Linux: `call_rcu`).
#[derive(Default)]
struct GracePeriod(Vec<Table>);

impl GracePeriod {
    fn after(&mut self, table: Table) {
        self.0.push(table);
    }
}

fn main() -> Result<(), Full<Table>> {
    let user = boot(0x1000);
    (0..2).for_each(|cpu| on(cpu, || ENGINE.switch_to(&user)));
    let mapped = PageRange::new(VirtAddr(0), 512, PageSize::Size4K).expect("a whole table");
    let mut free_list: Vec<Table> = Vec::new();

    // ANCHOR: interrupts
    // Walkers with interrupts off, some of which this flush may not interrupt.
    let mut gather = ENGINE.gather::<Table, 1>(&user);
    // ... unhook the table, then:
    gather.table_freed(mapped, 7)?;
    let pending = gather.send();
    ENGINE.flush_kernel(FlushRequest::contexts()); // every CPU has had its interrupts on
    pending.finish_with(|table| free_list.push(table));
    // ANCHOR_END: interrupts
    assert_eq!((free_list.as_slice(), ipis()), (&[7][..], 1 + 3));

    // ANCHOR: rcu
    // Walkers in read-side critical sections of RCU.
    let mut grace_period = GracePeriod::default();
    let mut gather = ENGINE.gather::<Table, 1>(&user);
    gather.table_freed(mapped, 8)?;
    gather.send().finish_with(|table| grace_period.after(table)); // `call_rcu`
    // ANCHOR_END: rcu
    assert_eq!(grace_period.0, [8]);

    // ANCHOR: hazards
    // Walkers with hazard pointers; the thread that frees cannot wait.
    let hazards: [Option<Table>; 2] = [None, Some(9)];
    let mut kept: Vec<Table> = Vec::new();
    let mut retired = Retired::<_, Table, 64>::new(&ENGINE);
    let mut gather = ENGINE.gather::<Table, 1>(&user);
    gather.table_freed(mapped, 9)?;
    if let Err((_, pending)) = gather.send().retire_into(&mut retired) {
        pending.finish_with(|table| kept.push(table));
    }
    // Later: hardware is done with what comes out. What a walker points to is looked at again.
    retired.finish_with(|table| {
        if hazards.contains(&Some(table)) { kept.push(table) } else { free_list.push(table) }
    });
    // ANCHOR_END: hazards
    assert_eq!((kept, free_list), (vec![9], vec![7]));
    Ok(())
}
