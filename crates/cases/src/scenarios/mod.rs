//! The engine's named scenarios, a file a theme, and every pair of its operations.

mod architectures;
mod batches;
mod clients;
mod code;
mod coherence;
mod gather;
mod hotplug;
mod ipis;
mod kernel;
mod lazy;
mod list;
mod machines;
mod masks;
mod migration;
mod nmi;
mod orderings;
mod pairs;
mod retired;
mod secondary;
mod tags;
mod teardown;
mod transports;
mod user_mode;
mod walkers;
mod warm_tags;
mod wide_masks;

use crate::engine::{Fault, Oracles};
use list::List;
use shootdown_machine::Case;

/// All engine cases, with `fault` injected.
pub fn cases(fault: Fault) -> Vec<Case> {
    cases_under(fault, Oracles::Machine)
}

/// The same by other oracles.
pub fn cases_under(fault: Fault, oracles: Oracles) -> Vec<Case> {
    let mut list = List::new(fault, oracles);
    let themes = [
        architectures::add,
        orderings::add,
        clients::add,
        masks::add,
        wide_masks::add,
        lazy::add,
        gather::add,
        retired::add,
        batches::add,
        coherence::add,
        teardown::add,
        ipis::add,
        transports::add,
        tags::add,
        warm_tags::add,
        kernel::add,
        user_mode::add,
        secondary::add,
        walkers::add,
        code::add,
        hotplug::add,
        nmi::add,
        migration::add,
        pairs::add,
    ];
    for add in themes {
        add(&mut list);
    }
    list.cases
}

/// Scenarios of embedders who break a promise: each must be found.
pub fn mistakes() -> Vec<Case> {
    let mut list = List::new(Fault::NONE, Oracles::Machine);
    coherence::mistakes(&mut list);
    code::mistakes(&mut list);
    transports::mistakes(&mut list);
    walkers::mistakes(&mut list);
    list.cases
}
