//! Numbers that only grow: what each counts, and why none comes to its end. Rollovers of tags, which do come to theirs,
//! are run with generations of 3 bits (`asid-generation-wrap` and its like, and `tests/tags`).

use super::machine;
use super::machine::{page_range, space};
use shootdown::SpaceId;
use shootdown::flush::{FlushRequest, Generation};

/// More of anything than a machine does in a second.
const PER_SECOND: u64 = 1_000_000_000;
/// How often something is done that must bring no number near its end.
const TIMES: u64 = if cfg!(miri) { 10 } else { 1000 };
const SECONDS_PER_YEAR: u64 = 366 * 24 * 60 * 60;

/// The largest generation that a stamp of the history can carry: it is twice the generation, plus 1.
const LAST_GENERATION: u64 = u64::MAX >> 1;

#[test]
fn generations_and_identities_last_for_centuries_at_a_billion_a_second() {
    // Both are 64 bits wide: these lines do not compile if that changes.
    let numbers: [fn(u64) -> u64; 1] = [|number| SpaceId::new(number).number()];
    assert_eq!(numbers[0](u64::MAX), u64::MAX);
    let generation: fn(Generation) -> u64 = Generation::number;
    assert_eq!(size_of_val(&generation), size_of::<usize>());
    assert_eq!((size_of::<Generation>(), size_of::<SpaceId>()), (8, 8));
    const { assert!(LAST_GENERATION / PER_SECOND / SECONDS_PER_YEAR > 290) };
}

#[test]
fn a_flush_costs_one_generation_and_a_switch_none() {
    let host = machine(2);
    let (a, b) = (space(host, 0xa000), space(host, 0xb000));
    let before = a.generation().number();
    for _ in 0..TIMES {
        host.run(1, &a);
        host.run(1, &b);
    }
    assert_eq!(a.generation().number(), before, "so switches, however many, bring nothing nearer to a wrap");
    for flush in 1..=TIMES {
        host.engine().flush(&a, FlushRequest::pages(page_range(1)));
        assert_eq!(a.generation().number(), before + flush);
    }
    host.check();
    let _ = a.into_handle();
    let _ = b.into_handle();
}

#[test]
fn spaces_that_come_and_go_never_share_an_identity() {
    let host = machine(1);
    let mut last = 0;
    for root in 0..TIMES {
        let user = space(host, root);
        assert!(user.id().number() > last, "identities grow");
        last = user.id().number();
        user.put().expect("the only user").finish();
    }
    host.check();
}
