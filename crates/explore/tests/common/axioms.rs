//! RC11 as its paper states it, by enumeration: every choice of what reads read and of modification orders, checked
//! against the axioms. It knows nothing of the explorer's views.
//!
//! Lahav, Vafeiadis, Kang, Hur, Dreyer, "Repairing sequential consistency in C/C++11", PLDI 2017, definition 1, without
//! sequentially consistent accesses, and with `rs = [W]; (rf; rmw)*`. A read-modify-write is one event here.

use super::rc11::{Outcome, Step};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{self, AcqRel, Acquire, Relaxed, Release, SeqCst};

/// A relation between events: for each, those that it leads to, as bits.
type Relation = Vec<u64>;

#[derive(Clone, Copy)]
struct Event {
    thread: usize,
    step: Step,
}

/// One execution to be judged: what each event reads from (an event's number; `None`: the start), reads and writes.
struct Candidate {
    from: Vec<Option<usize>>,
    read: Vec<u64>,
    written: Vec<Option<u64>>,
}

/// All outcomes of a program; `None` if that takes more than `most` candidates. Some steps, by their numbers, come
/// `after` others that tell them nothing: the first of an interrupt's handler after what raises the interrupt.
pub fn outcomes(
    threads: &[Vec<Step>],
    words: usize,
    after: &[(usize, usize)],
    most: usize,
) -> Option<BTreeSet<Outcome>> {
    let events: Vec<Event> = threads
        .iter()
        .enumerate()
        .flat_map(|(thread, steps)| steps.iter().map(move |&step| Event { thread, step }))
        .collect();
    let sources: Vec<Vec<Option<usize>>> = events.iter().map(|event| sources(&events, event.step)).collect();
    let count = sources.iter().try_fold(1_usize, |all, some| all.checked_mul(some.len()));
    if count.is_none_or(|count| count > most) {
        return None;
    }
    let mut found = BTreeSet::new();
    each_choice(&sources, &mut Vec::new(), &mut |from| {
        if let Some(candidate) = values(&events, after, from) {
            each_order(&events, &candidate, words, &mut |mo| {
                if consistent(&events, &candidate, mo) {
                    found.insert(outcome(&events, &candidate, mo));
                }
            });
        }
    });
    Some(found)
}

fn word(step: Step) -> Option<usize> {
    match step {
        Step::Load(x, _) | Step::Store(x, ..) | Step::Add(x, ..) | Step::Swap(x, ..) | Step::Cas(x, ..) => {
            Some(x)
        }
        Step::Fence(_) => None,
    }
}

fn may_write(step: Step) -> bool {
    !matches!(step, Step::Load(..) | Step::Fence(_))
}

/// What a step may read from; one choice if it reads nothing.
fn sources(events: &[Event], step: Step) -> Vec<Option<usize>> {
    let mut all = vec![None];
    if step.reads() {
        let writes = |&index: &usize| may_write(events[index].step) && word(events[index].step) == word(step);
        all.extend((0..events.len()).filter(writes).map(Some));
    }
    all
}

fn each_choice<T: Copy>(choices: &[Vec<T>], chosen: &mut Vec<T>, see: &mut impl FnMut(&[T])) {
    let Some(here) = choices.get(chosen.len()) else { return see(chosen) };
    for &one in here {
        chosen.push(one);
        each_choice(choices, chosen, see);
        chosen.pop();
    }
}

/// Values in the order of the program and of what is read; `None` if these go round in a circle, or if something reads
/// from a compare-and-exchange that fails.
fn values(events: &[Event], after: &[(usize, usize)], from: &[Option<usize>]) -> Option<Candidate> {
    let mut candidate =
        Candidate { from: from.to_vec(), read: vec![0; events.len()], written: vec![None; events.len()] };
    let mut done = vec![false; events.len()];
    for _ in 0..events.len() {
        let ready = |index: &usize| {
            let earlier = (0..*index).rev().find(|&other| events[other].thread == events[*index].thread);
            !done[*index]
                && earlier.is_none_or(|other| done[other])
                && from[*index].is_none_or(|source| done[source])
                && after.iter().all(|&(first, then)| then != *index || done[first])
        };
        let index = (0..events.len()).find(ready)?;
        let read = from[index].map_or(Some(0), |source| candidate.written[source])?;
        candidate.read[index] = read;
        candidate.written[index] = match events[index].step {
            Step::Store(_, value, _) | Step::Swap(_, value, _) => Some(value),
            Step::Add(_, by, _) => Some(read + by),
            Step::Cas(_, (old, new), ..) => (read == old).then_some(new),
            Step::Load(..) | Step::Fence(_) => None,
        };
        done[index] = true;
    }
    Some(candidate)
}

/// Every modification order, word by word.
fn each_order(events: &[Event], candidate: &Candidate, words: usize, see: &mut impl FnMut(&[Vec<usize>])) {
    let writes = |x: usize| {
        let all = (0..events.len()).filter(move |&index| word(events[index].step) == Some(x));
        all.filter(|&index| candidate.written[index].is_some()).collect::<Vec<_>>()
    };
    let orders: Vec<Vec<Vec<usize>>> = (0..words).map(|x| permutations(&writes(x))).collect();
    let numbers: Vec<Vec<usize>> = orders.iter().map(|some| (0..some.len()).collect()).collect();
    each_choice(&numbers, &mut Vec::new(), &mut |chosen| {
        let mo: Vec<Vec<usize>> = chosen.iter().zip(&orders).map(|(&one, some)| some[one].clone()).collect();
        see(&mo);
    });
}

fn permutations(items: &[usize]) -> Vec<Vec<usize>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (index, &first) in items.iter().enumerate() {
        let rest: Vec<usize> = [&items[..index], &items[index + 1..]].concat();
        all.extend(permutations(&rest).into_iter().map(|rest| [vec![first], rest].concat()));
    }
    all
}

/// The axioms: coherence, atomicity, and an order of sequentially consistent fences. (No-thin-air holds of all
/// candidates.)
fn consistent(events: &[Event], candidate: &Candidate, mo: &[Vec<usize>]) -> bool {
    let place = |event: usize| mo[word(events[event].step).unwrap()].iter().position(|&other| other == event);
    let size = events.len();
    let mut eco = vec![0; size];
    for index in 0..size {
        let step = events[index].step;
        let Some(x) = word(step) else { continue };
        let source = candidate.from[index].map(|source| place(source).unwrap());
        if step.reads() {
            if let Some(source) = candidate.from[index] {
                eco[source] |= 1 << index;
            }
            // From-reads: all later than what it read, but for itself.
            let first = source.map_or(0, |place| place + 1);
            mo[x][first..]
                .iter()
                .filter(|&&later| later != index)
                .for_each(|&later| eco[index] |= 1 << later);
            // Atomicity: what a read-modify-write read is right before it.
            if candidate.written[index].is_some() && place(index) != Some(first) {
                return false;
            }
        }
        if candidate.written[index].is_some() {
            mo[x][place(index).unwrap() + 1..].iter().for_each(|&later| eco[index] |= 1 << later);
        }
    }
    close(&mut eco);
    let hb = happens_before(events, candidate);
    let coherent = |index: usize| {
        (hb[index] | step_to(&hb, &eco, index)) >> index & 1 == 0 && eco[index] >> index & 1 == 0
    };
    if !(0..size).all(coherent) {
        return false;
    }
    let full = |index: &usize| matches!(events[*index].step, Step::Fence(SeqCst));
    let fences: u64 = (0..size).filter(full).map(|index| 1 << index).sum();
    let between = compose(&compose(&hb, &eco), &hb);
    let mut psc: Relation =
        (0..size).map(|index| if full(&index) { (hb[index] | between[index]) & fences } else { 0 }).collect();
    close(&mut psc);
    (0..size).all(|index| psc[index] >> index & 1 == 0)
}

fn happens_before(events: &[Event], candidate: &Candidate) -> Relation {
    let size = events.len();
    let mut hb: Relation = (0..size)
        .map(|one| {
            (one + 1..size)
                .filter(|&other| events[other].thread == events[one].thread)
                .map(|other| 1 << other)
                .sum()
        })
        .collect();
    let program_order = hb.clone();
    for reader in 0..size {
        let mut head = candidate.from[reader];
        while let Some(write) = head {
            for start in 0..size {
                let starts = start == write && releases(candidate, events, start)
                    || program_order[start] >> write & 1 != 0 && fence(events[start].step, releases_order);
                if starts {
                    for end in 0..size {
                        let ends = end == reader && acquires(candidate, events, end)
                            || program_order[reader] >> end & 1 != 0
                                && fence(events[end].step, acquires_order);
                        if ends {
                            hb[start] |= 1 << end;
                        }
                    }
                }
            }
            // A read-modify-write goes on with the release sequence of what it read.
            head = if events[write].step.reads() { candidate.from[write] } else { None };
        }
    }
    close(&mut hb);
    hb
}

fn releases_order(order: Ordering) -> bool {
    matches!(order, Release | AcqRel | SeqCst)
}

fn acquires_order(order: Ordering) -> bool {
    matches!(order, Acquire | AcqRel | SeqCst)
}

fn fence(step: Step, side: fn(Ordering) -> bool) -> bool {
    matches!(step, Step::Fence(order) if side(order))
}

fn releases(candidate: &Candidate, events: &[Event], index: usize) -> bool {
    candidate.written[index].is_some() && releases_order(order(candidate, events, index))
}

fn acquires(candidate: &Candidate, events: &[Event], index: usize) -> bool {
    events[index].step.reads() && acquires_order(order(candidate, events, index))
}

fn order(candidate: &Candidate, events: &[Event], index: usize) -> Ordering {
    match events[index].step {
        Step::Cas(_, _, _, failed) if candidate.written[index].is_none() => failed,
        Step::Load(_, order)
        | Step::Store(_, _, order)
        | Step::Add(_, _, order)
        | Step::Swap(_, _, order)
        | Step::Cas(_, _, order, _) => order,
        Step::Fence(_) => Relaxed,
    }
}

/// What `index` leads to by the one relation and then the other.
fn step_to(one: &Relation, other: &Relation, index: usize) -> u64 {
    (0..one.len()).filter(|middle| one[index] >> middle & 1 != 0).fold(0, |all, middle| all | other[middle])
}

fn compose(one: &Relation, other: &Relation) -> Relation {
    (0..one.len()).map(|index| step_to(one, other, index)).collect()
}

/// Makes a relation transitive.
fn close(relation: &mut Relation) {
    for middle in 0..relation.len() {
        for index in 0..relation.len() {
            if relation[index] >> middle & 1 != 0 {
                relation[index] |= relation[middle];
            }
        }
    }
}

fn outcome(events: &[Event], candidate: &Candidate, mo: &[Vec<usize>]) -> Outcome {
    let reads = (0..events.len()).filter(|&index| events[index].step.reads());
    let registers = reads.map(|index| candidate.read[index]);
    let last = |order: &Vec<usize>| order.last().map_or(0, |&index| candidate.written[index].unwrap());
    registers.chain(mo.iter().map(last)).collect()
}
