//! Fences on the harts that a guest names: the harts they wait for, and the translations they drop.

use shootdown_host::shootdown::flush::{FlushRequest, LocalFlush, PageRange, VirtAddr};
use shootdown_host::shootdown::tags::{OnInstall, Tag};
use shootdown_host::shootdown::{CpuId, Platform};
use shootdown_host::{Fence, Leaf, Machine, NoSuchHart, Poll, SoftTlb, Tlb};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

const PAGE: VirtAddr = VirtAddr(0x5000);
/// Fences of a test in which harts run beside each other.
const ROUNDS: u64 = if cfg!(miri) { 4 } else { 100 };
const LONG: Duration = Duration::from_secs(120);

fn page() -> Fence {
    Fence::pages(PageRange::page(PAGE))
}

fn receive<T>(from: &Receiver<T>) -> T {
    from.recv_timeout(LONG).expect("the other thread answers")
}

/// A TLB under the guest's ASIDs, beside one under the engine's tags.
struct Guests {
    guest: SoftTlb<u64>,
    host: SoftTlb<u64>,
}

// SAFETY: 1. and 2. as `SoftTlb`, which each part is; the guest's has nothing under the engine's tags; 3. nothing else runs.
unsafe impl Tlb for Guests {
    fn flush(&mut self, what: LocalFlush) {
        self.host.flush(what);
    }
    fn load(&mut self, tag: Tag, how: OnInstall) {
        self.host.load(tag, how);
    }
    fn fence(&mut self, fence: Fence) {
        let tag = fence.asid.map(Tag::new);
        match (fence.range, tag) {
            (Some(range), tag) => self.guest.flush_range(tag, range),
            (None, Some(tag)) => self.guest.flush_tag(tag),
            (None, None) => self.guest.flush_all(),
        }
    }
}

#[test]
fn a_fence_waits_for_the_harts_that_it_names_and_for_no_others() {
    let machine = Machine::<u64>::new(3).expect("a small machine");
    let space = machine.new_space(0);
    let (entered, enters) = channel();
    let polled = AtomicBool::new(false);
    thread::scope(|threads| {
        let (machine, space, polled) = (&machine, &space, &polled);
        let mut goes = Vec::new();
        for number in 0..2 {
            let (go, begins) = channel();
            goes.push(go);
            let entered = entered.clone();
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(number, SoftTlb::new(16)).expect("a free CPU");
                cpu.run(space, |guest| {
                    guest.tlb().insert(PAGE, Leaf::page(1));
                    entered.send(()).expect("the test receives");
                    // Hart 1 is named in no fence, and polls only when all of them have returned.
                    receive::<()>(&begins);
                    if number == 0 {
                        polled.store(true, SeqCst);
                        while guest.tlb().get(PAGE).is_some() {
                            assert_eq!(guest.poll(), Poll::Continue);
                        }
                    }
                    let found = guest.tlb().get(PAGE);
                    assert_eq!(found, (number == 1).then_some(1), "hart {number}");
                });
            });
        }
        let _me = machine.helper().expect("a free seat");
        receive(&enters);
        receive(&enters);
        goes[0].send(()).expect("hart 0 receives");
        // Hart 2 is no thread at all.
        machine.harts(0b101, 0).expect("it has them").fence(page());
        assert!(polled.load(SeqCst), "the fence has returned before hart 0 polled");
        goes[1].send(()).expect("hart 1 receives");
    });
}

#[test]
fn a_hart_outside_guest_code_fences_when_it_comes_back_and_widens_what_has_piled_up() {
    const PAGES: u64 = if cfg!(miri) { 12 } else { 50 };
    for fences in if cfg!(miri) { [1, 3, 10] } else { [1, 3, 40] } {
        let machine = Machine::<u64>::new(1).expect("a small machine");
        let space = machine.new_space(0);
        let tlb = Guests { guest: SoftTlb::new(64), host: SoftTlb::new(64) };
        let mut cpu = machine.virtual_cpu(0, tlb).expect("a free CPU");
        let at = |page: u64| VirtAddr(page << 12);
        cpu.run(&space, |guest| {
            (0..PAGES)
                .for_each(|page| guest.tlb().guest.insert_tagged(Tag::new(3), at(page), Leaf::page(page)));
            guest.tlb().host.insert(PAGE, Leaf::page(9));
        });
        thread::scope(|threads| {
            threads.spawn(|| {
                let _me = machine.helper().expect("a free seat");
                for page in 0..fences {
                    machine.harts(1, 0).expect("it has it").fence(Fence::bytes(page << 12, 4096).in_space(3));
                }
            });
        });
        cpu.run(&space, |guest| {
            let mut tlb = guest.tlb();
            let gone =
                (0..PAGES).filter(|&page| tlb.guest.get_tagged(Tag::new(3), at(page)).is_none()).count();
            let expected = if fences < 9 { fences as usize } else { PAGES as usize };
            assert_eq!(gone, expected, "after {fences} fences");
            assert_eq!(
                tlb.host.get(PAGE),
                Some(9),
                "what is under the engine's tags is not the guest's to fence"
            );
        });
    }
}

#[test]
fn a_fence_in_one_space_of_the_guest_leaves_the_others() {
    let machine = Machine::<u64>::new(1).expect("a small machine");
    let space = machine.new_space(0);
    let tlb = Guests { guest: SoftTlb::new(64), host: SoftTlb::new(64) };
    let mut cpu = machine.virtual_cpu(0, tlb).expect("a free CPU");
    let all = machine.harts(0, u64::MAX).expect("all harts");
    cpu.run(&space, |guest| {
        for (fence, left) in [(page().in_space(1), [2]), (Fence::ALL.in_space(2), [1])] {
            (1..3).for_each(|asid| guest.tlb().guest.insert_tagged(Tag::new(asid), PAGE, Leaf::page(7)));
            all.fence(fence);
            let mut tlb = guest.tlb();
            let held: Vec<u16> =
                (1..3).filter(|&asid| tlb.guest.get_tagged(Tag::new(asid), PAGE).is_some()).collect();
            assert_eq!(held, left, "{fence:?}");
        }
        all.fence(Fence::ALL);
        assert_eq!(guest.tlb().guest.held(), 0);
    });
}

/// Each hart maps a page of its own to the next value, fences it on all, and then takes the old value away; all use all
/// pages.
#[test]
fn harts_that_fence_each_other_and_flush_at_once_use_nothing_that_was_fenced() {
    let machine = Machine::<u64>::new(3).expect("a small machine");
    let space = machine.new_space(0);
    let mapped: [AtomicU64; 3] = Default::default();
    let oldest: [AtomicU64; 3] = Default::default();
    let running = AtomicU64::new(3);
    thread::scope(|threads| {
        for number in 0..3_u32 {
            let (machine, space, mapped, oldest, running) = (&machine, &space, &mapped, &oldest, &running);
            threads.spawn(move || {
                let mut cpu = machine.virtual_cpu(number, SoftTlb::new(16)).expect("a free CPU");
                let own = number as usize;
                let at = |page: usize| VirtAddr(0x1000 * page as u64);
                let mut round = 0;
                while running.load(SeqCst) > 0 {
                    // In and out of guest code, so that some fences find a hart on its way.
                    cpu.run(space, |guest| {
                        for page in 0..3 {
                            let least = oldest[page].load(SeqCst);
                            let walk = |_| Some(Leaf::page(mapped[page].load(SeqCst)));
                            let found = guest.translate(at(page), walk).expect("it is mapped");
                            assert!(found >= least, "hart {number}, page {page}: {found} after {least}");
                        }
                        guest.poll();
                    });
                    if round == ROUNDS {
                        continue;
                    }
                    round += 1;
                    mapped[own].store(round, SeqCst);
                    let fence = Fence::pages(PageRange::page(at(own)));
                    let all = machine.harts(0b111, 0).expect("it has them");
                    match round % 4 {
                        0 => {
                            machine.flush_kernel(fence.range.map_or(FlushRequest::all(), FlushRequest::pages))
                        }
                        1 => {
                            machine.flush(space, fence.range.map_or(FlushRequest::all(), FlushRequest::pages))
                        }
                        2 => cpu.run(space, |_| all.fence(fence)),
                        _ => all.fence(fence),
                    }
                    oldest[own].store(round, SeqCst);
                    if round == ROUNDS {
                        running.fetch_sub(1, SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(oldest.each_ref().map(|oldest| oldest.load(Relaxed)), [ROUNDS; 3]);
}

/// The shape that the full fences of sender and target are there for.
#[test]
fn a_hart_that_enters_guest_code_sees_the_fence_or_is_waited_for() {
    for _ in 0..if cfg!(miri) { 2 } else { 200 } {
        let machine = Machine::<u64>::new(1).expect("a small machine");
        let space = machine.new_space(0);
        let mapped = AtomicU64::new(1);
        let reused = AtomicBool::new(false);
        thread::scope(|threads| {
            let mut cpu = machine.virtual_cpu(0, SoftTlb::new(16)).expect("a free CPU");
            cpu.run(&space, |guest| guest.tlb().insert(PAGE, Leaf::page(1)));
            threads.spawn(|| {
                let _me = machine.helper().expect("a free seat");
                mapped.store(2, Relaxed);
                machine.harts(1, 0).expect("it has it").fence(page());
                reused.store(true, Relaxed);
            });
            cpu.run(&space, |guest| {
                // The use of a translation, between two looks at the poll word.
                let before = reused.load(Relaxed);
                let found = guest.translate(PAGE, |_| Some(Leaf::page(mapped.load(Relaxed))));
                let after = reused.load(Relaxed);
                assert!(found == Some(2) || !after, "used {found:?}: fenced before {before}, after {after}");
                while !reused.load(Relaxed) {
                    guest.poll();
                    thread::yield_now();
                }
                assert_eq!(guest.translate(PAGE, |_| Some(Leaf::page(mapped.load(Relaxed)))), Some(2));
            });
        });
    }
}

#[test]
fn harts_that_the_machine_does_not_have_are_refused_by_their_number() {
    let machine = Machine::<u64>::new(2).expect("a small machine");
    let refused = |mask, base| machine.harts(mask, base).err().map(|refused| refused.hart);
    assert_eq!(refused(0b100, 0), Some(2));
    assert_eq!(refused(1, 64), Some(64));
    assert_eq!(refused(0b10, u64::MAX - 1), Some(u64::MAX));
    assert_eq!(refused(0, 99), None, "an empty mask names nobody");
    let said = NoSuchHart { hart: 64, harts: 2 }.to_string();
    assert!(said.contains("hart 64 is not among the machine's 2"), "{said}");
    let all = machine.harts(0, u64::MAX).expect("all");
    assert!(all.contains(CpuId::new(1)) && !all.contains(CpuId::new(2)) && !all.contains(CpuId::new(9999)));
}

#[test]
fn a_fence_leaves_the_engine_as_it_was() {
    let machine = Machine::<u64>::new(1).expect("a small machine");
    let space = machine.new_space(0);
    let mut cpu = machine.virtual_cpu(0, SoftTlb::new(16)).expect("a free CPU");
    let before = space.generation();
    cpu.run(&space, |guest| {
        machine.harts(1, 0).expect("it has it").fence(Fence::ALL);
        guest.tlb().insert(PAGE, Leaf::page(1));
        machine.flush_kernel(FlushRequest::all());
        assert_eq!(guest.tlb().get(PAGE), None, "a flush of the engine reaches it as ever");
    });
    assert_eq!(space.generation(), before);
    assert_eq!(machine.platform().local(CpuId::new(0)).counters().flushes(), 1);
}
