//! Gathers: several that are open at the same time, of which each has recorded something of its own (SD-15), and
//! flushes that are sent before the one before is waited for.

use super::list::{List, Scenario, THREE, TWO};
use super::machines::{Plain, Tagged};
use crate::engine::Code;
use crate::engine::Start::User;

const GATHERS: &[&str] = &["two", "gathers"];

pub(super) fn add(list: &mut List) {
    same_page(list);
    within_a_range(list);
    several_in_flight(list);
}

fn same_page(list: &mut List) {
    list.scenario::<Plain>("nested-gathers", THREE)
        .about("two gathers clear the same page while a third CPU uses it")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |_| {})
        .contested()
        .add();
    list.scenario::<Plain>("nested-table-gathers", THREE)
        .about("one gather unmaps a page whose table another unhooks, while a third CPU uses it")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |_| {})
        .contested()
        .add();
}

/// Both run the space, and may clear the same entries.
fn nested<'l>(
    list: &'l mut List,
    name: &str,
    first: Code<Plain>,
    second: Code<Plain>,
) -> Scenario<'l, Plain> {
    list.scenario(name, GATHERS).cpu(User(0), first).cpu(User(0), second).contested()
}

fn within_a_range(list: &mut List) {
    let first: Code<Plain> = |cpu| cpu.unmap_pages(0, 0..2, &[0, 1]);
    nested(list, "nested-gathers-inside", first, |cpu| cpu.unmap_pages(0, 1..2, &[1]))
        .about(
            "a gather records one page and finds another cleared by a gather that is open within its range",
        )
        .add();
    let first: Code<Plain> = |cpu| cpu.unmap_pages_and_tell(0, 0..2, &[0, 1], 1);
    let second: Code<Plain> = |cpu| cpu.await_and_unmap_pages(1, 0, 1..3, &[2, 1]);
    nested(list, "nested-gathers-overlap", first, second)
        .about("two gathers that overlap in one page record a page of their own each, and one of them the page between")
        .two_tables()
        .add();
    let first: Code<Plain> = |cpu| cpu.unmap_pages_and_tell(0, 1..2, &[0, 1], 1);
    nested(list, "nested-gathers-outside", first, |cpu| cpu.await_and_unmap_pages(1, 0, 1..2, &[1]))
        .about("a gather records a page outside the range that it said it looks at, beside one that is open there")
        .add();
    let first: Code<Plain> = |cpu| cpu.send_unmap_pages_and_tell(0, 0..1, &[0], 1);
    nested(list, "nested-gathers-split", first, |cpu| cpu.await_and_unmap_pages(1, 0, 0..2, &[1, 0]))
        .about("a gather whose flush was sent and not waited for is still open, and another finds what it cleared")
        .add();
    nested(list, "nested-gathers-empty", first, |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
        .about("a gather records nothing, since it finds what another has cleared, sent and not waited for")
        .add();
    let finds_nothing: Code<Plain> = |cpu| {
        cpu.await_request(1);
        cpu.unmap_without_table(0);
    };
    nested(list, "nested-gathers-unhooked", |cpu| cpu.unhook_table(0, 1), finds_nothing)
        .about("a gather finds no table where another has unhooked it as it was, with entries that can still be walked")
        .add();
    nested(list, "nested-gathers-three", |cpu| cpu.unmap_in_three_gathers(0), |_| {})
        .about("three gathers are open, and the last one finds what the first one has cleared")
        .add();
}

fn several_in_flight(list: &mut List) {
    list.scenario::<Tagged>("table-missed", TWO)
        .about("a CPU that has missed several flushes, of which the first freed a table, catches up with all of them")
        .cpu(User(0), |cpu| cpu.unmap_table_in_batch(0))
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<Tagged>("batch-of-unmaps", TWO)
        .about("two unmaps are sent before either is waited for, and the second comes while a CPU answers the first")
        .cpu(User(0), |cpu| cpu.unmap_in_batch(0))
        .cpu(User(0), |_| {})
        .pso()
        .add();
    list.scenario::<Tagged>("history-overflow", TWO)
        .about("more flushes than the history holds while a CPU is away")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
            cpu.flush_page(0, 1);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .add();
}
