//! Gathers that are open at the same time, and of which each has recorded something of its own (SD-15).

use super::catalog::List;
use super::{Plain, named, plan};
use crate::engine::world::{Code, Plan, Start};
use shootdown_explore::Memory::Tso;

const TWO: &[&str] = &["two", "gathers"];

pub(super) fn add(list: &mut List) {
    for scenario in [inside, overlap, outside, split, empty, unhooked, three] {
        scenario(list);
    }
}

/// Both run the space, and may clear the same entries.
fn nested(first: Code<Plain>, second: Code<Plain>) -> Plan<Plain> {
    Plan { contested: true, ..plan(vec![(Start::User(0), first), (Start::User(0), second)]) }
}

fn inside(list: &mut List) {
    let about =
        "a gather records one page and finds another cleared by a gather that is open within its range";
    list.add(&named("nested-gathers-inside", TWO, &[Tso], about), || {
        nested(|cpu| cpu.unmap_pages(0, 0..2, &[0, 1]), |cpu| cpu.unmap_pages(0, 1..2, &[1]))
    });
}

fn overlap(list: &mut List) {
    let about = "two gathers that overlap in one page record a page of their own each, and one of them the page between";
    list.add(&named("nested-gathers-overlap", TWO, &[Tso], about), || {
        let first: Code<Plain> = |cpu| cpu.unmap_pages_and_tell(0, 0..2, &[0, 1], 1);
        let second: Code<Plain> = |cpu| cpu.await_and_unmap_pages(1, 0, 1..3, &[2, 1]);
        Plan { tables: 2, ..nested(first, second) }
    });
}

fn outside(list: &mut List) {
    let about =
        "a gather records a page outside the range that it said it looks at, beside one that is open there";
    list.add(&named("nested-gathers-outside", TWO, &[Tso], about), || {
        let first: Code<Plain> = |cpu| cpu.unmap_pages_and_tell(0, 1..2, &[0, 1], 1);
        nested(first, |cpu| cpu.await_and_unmap_pages(1, 0, 1..2, &[1]))
    });
}

fn split(list: &mut List) {
    let about =
        "a gather whose flush was sent and not waited for is still open, and another finds what it cleared";
    list.add(&named("nested-gathers-split", TWO, &[Tso], about), || {
        let first: Code<Plain> = |cpu| cpu.send_unmap_pages_and_tell(0, 0..1, &[0], 1);
        nested(first, |cpu| cpu.await_and_unmap_pages(1, 0, 0..2, &[1, 0]))
    });
}

fn empty(list: &mut List) {
    let about = "a gather records nothing, since it finds what another has cleared, sent and not waited for";
    list.add(&named("nested-gathers-empty", TWO, &[Tso], about), || {
        let first: Code<Plain> = |cpu| cpu.send_unmap_pages_and_tell(0, 0..1, &[0], 1);
        nested(first, |cpu| cpu.await_and_unmap_pages(1, 0, 0..1, &[0]))
    });
}

fn unhooked(list: &mut List) {
    let about = "a gather finds no table where another has unhooked it as it was, with entries that can still be walked";
    list.add(&named("nested-gathers-unhooked", TWO, &[Tso], about), || {
        let finds_nothing: Code<Plain> = |cpu| {
            cpu.await_request(1);
            cpu.unmap_without_table(0);
        };
        nested(|cpu| cpu.unhook_table(0, 1), finds_nothing)
    });
}

fn three(list: &mut List) {
    let about = "three gathers are open, and the last one finds what the first one has cleared";
    list.add(&named("nested-gathers-three", TWO, &[Tso], about), || {
        nested(|cpu| cpu.unmap_in_three_gathers(0), |_| {})
    });
}
