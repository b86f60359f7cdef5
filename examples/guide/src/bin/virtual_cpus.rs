//! An emulator of two virtual CPUs, which read a page over and over while the host moves it from frame to frame.

use shootdown_host::shootdown::CpuId;
use shootdown_host::shootdown::flush::{PageRange, VirtAddr};
use shootdown_host::{Leaf, Machine, Poll, SoftTlb};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};

const PAGE: VirtAddr = VirtAddr(0x8000_0000);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let frames: Vec<AtomicU64> = (0..8).map(|_| AtomicU64::new(0)).collect();
    frames[0].store(42, Relaxed);
    let table = AtomicUsize::new(0); // the page table: which frame the page is in

    let machine = Machine::<u64>::new(2)?;
    let space = machine.new_space(0);
    std::thread::scope(|threads| {
        for number in 0..2 {
            let (machine, space, frames, table) = (&machine, &space, &frames, &table);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(number, SoftTlb::new(64)).expect("a free CPU");
                cpu.run(space, |guest| {
                    while guest.poll() == Poll::Continue {
                        let walk = |_root| Some(Leaf::page(table.load(SeqCst)));
                        let frame = guest.translate(PAGE, walk).expect("it is mapped");
                        assert_eq!(frames[frame].load(Relaxed), 42, "a frame that is somebody else's");
                    }
                });
            });
        }
        let _me = machine.helper().expect("a free seat");
        for next in 1..8 {
            frames[next].store(42, Relaxed);
            let old = table.swap(next, SeqCst);
            let mut gather = machine.gather::<usize, 1>(&space);
            gather.unmapped(PageRange::page(PAGE), old).expect("room for one");
            gather.send().finish_with(|frame| frames[frame].store(0xdead, Relaxed));
        }
        (0..2).for_each(|number| machine.call_out(CpuId::new(number)));
    });
    println!("the page has moved seven times, and nobody read a frame that it had left");
    Ok(())
}
