//! The engine on a machine where IPIs go astray, against a model of what each TLB holds.

mod bytes;
#[path = "../machine/mod.rs"]
mod machine;

use bolero::check;
use bytes::Bytes;
use machine::state::{Frame, IpiFate, State};
use machine::{Kind, Machine, Plain, space};
use shootdown::flush::{PageRange, PageSize, VirtAddr};
use shootdown::tags::PerCpuSlots;

type Slots = Plain<PerCpuSlots<2>>;
type Host = Machine<Slots>;
type User = machine::User<Slots>;

/// A machine with `cpus` CPUs on line.
fn machine(cpus: u32) -> &'static Host {
    let state = State::new(cpus);
    machine::machine(state, Slots::mask(state), PerCpuSlots)
}

const SIZES: [PageSize; 7] = [
    PageSize::Size4K,
    PageSize::Size16K,
    PageSize::Size64K,
    PageSize::Size2M,
    PageSize::Size32M,
    PageSize::Size512M,
    PageSize::Size1G,
];

/// Any run of pages that can be made, at one of the ends of memory as often as in the middle.
fn range(bytes: &mut Bytes<'_>) -> Option<PageRange> {
    let size = SIZES[bytes.below(7) as usize];
    let start = bytes.number();
    let start = if bytes.byte() & 1 == 0 { start } else { u64::MAX - start };
    let (start, count) = (start & !(size.bytes() - 1), bytes.number());
    let made = PageRange::new(VirtAddr(start), count, size);
    let end = u128::from(start) + u128::from(count) * u128::from(size.bytes());
    let fits = count > 0 && end <= 1 << 64 && end - u128::from(start) < 1 << 64;
    assert_eq!(made.is_ok(), fits, "{start:#x} {count} {size:?}");
    made.ok()
}

/// Some pages of a range: both ends, and one in between.
fn samples(range: PageRange, bytes: &mut Bytes<'_>) -> [u64; 3] {
    let pages = range.count() << (range.size().shift() - 12);
    let first = range.start().0 >> 12;
    [first, first + bytes.below(pages), first + (pages - 1)]
}

/// A gather of any ranges covers each of them, on the CPU that flushes and on another, which is told by an IPI or
/// catches up when it comes back.
fn gather(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let host = machine(2);
    let (user, other) = (space(host, 0xa000), space(host, 0xb000));
    (0..2).for_each(|cpu| host.run(cpu, &user));
    while !bytes.is_empty() {
        let count = 1 + bytes.below(8);
        let ranges: Vec<PageRange> = (0..count).filter_map(|_| range(&mut bytes)).collect();
        let pages: Vec<[u64; 3]> = ranges.iter().map(|&range| samples(range, &mut bytes)).collect();
        pages.as_flattened().iter().for_each(|&page| (0..2).for_each(|cpu| host.touch(cpu, page)));
        let freed = host.freed.borrow().len();
        let mut gather = host.engine().gather::<Vec<Frame>, 4>(&user);
        for (&range, pages) in ranges.iter().zip(&pages) {
            let frames = pages.iter().map(|&page| host.state.clear(0xa000, page)).collect();
            let full = match bytes.byte() & 1 {
                0 => gather.unmapped(range, frames),
                _ => gather.table_freed(range, frames),
            };
            if let Err(full) = full {
                gather.finish();
                gather = host.engine().gather(&user);
                assert!(gather.resume(full).is_ok(), "it is empty");
            }
        }
        let away = bytes.byte() & 3 == 0;
        if away {
            host.run(1, &other);
        }
        gather.finish();
        if away {
            host.run(1, &user);
        }
        assert_eq!(host.freed.borrow().len(), freed + 3 * pages.len(), "each frame goes with its gather");
        pages.as_flattened().iter().for_each(|&page| (0..2).for_each(|cpu| host.touch(cpu, page)));
        host.check();
    }
    let _ = user.into_handle();
    let _ = other.into_handle();
}

/// Any calls in any order on four CPUs; IPIs are lost, late or duplicated.
fn calls(input: &[u8]) {
    const CPUS: u32 = 4;
    let mut bytes = Bytes::new(input);
    let host = machine(CPUS);
    let users: Vec<User> = (0..3).map(|number| space(host, 0x1000 + number)).collect();
    while !bytes.is_empty() {
        let fate = match bytes.byte() % 8 {
            0 | 1 => IpiFate::Lost,
            2 => IpiFate::Delayed(bytes.byte().into()),
            3 => IpiFate::Twice(bytes.byte().into()),
            _ => IpiFate::Arrives,
        };
        host.fate.borrow_mut().push_back(fate);
        call(host, &users, bytes.below(CPUS.into()) as u32, &mut bytes);
        host.check();
    }
    users.into_iter().for_each(|user| {
        let _ = user.into_handle();
    });
}

fn call(host: &'static Host, users: &[User], cpu: u32, bytes: &mut Bytes<'_>) {
    let engine = host.engine();
    let user = &users[bytes.below(3) as usize];
    let page = bytes.below(6);
    match bytes.byte() % 10 {
        0 | 1 => host.run(cpu, user),
        2 => host.go_lazy(cpu),
        3 | 4 => host.touch(cpu, page),
        5 => host.unmap(cpu, user, page),
        6 => host.handle_ipi(cpu),
        7 => host.on(cpu, || engine.trim(user)),
        8 => {
            host.masked.borrow_mut().insert(cpu, host.polls() + page * 4);
        }
        _ => {
            host.offline(cpu);
            host.online(cpu);
        }
    }
}

#[test]
fn gathers_cover_what_they_are_told() {
    check!().with_iterations(0).for_each(gather);
}

#[test]
fn calls_in_any_order_lose_nothing() {
    check!().with_iterations(0).for_each(calls);
}
