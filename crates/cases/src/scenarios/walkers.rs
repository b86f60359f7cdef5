//! Software that walks page tables without a lock, while tables are freed. What holds where is in the book
//! (`docs/book/src/table-walkers.md`).

use super::list::{List, TWO};
use super::machines::{Plain, machines};
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::Transport;
use shootdown::tags::Untagged;

const WALKERS: &[&str] = &["two", "walkers"];

machines! {
    /// Firmware flushes on the members of the mask, whatever their interrupts are.
    Firmware: Untagged {
        const TRANSPORT: Transport = Transport::Firmware;
    }
}

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("walker-masked", WALKERS)
        .about("a CPU walks the tables that it has loaded in software with interrupts off, while a table is freed")
        .cpu(User(0), |cpu| cpu.free_table_under_walkers(0))
        .cpu(User(0), |cpu| cpu.walk_masked(0, 0))
        .pso()
        .add();
    list.scenario::<Plain>("walker-lazy", WALKERS)
        .about("the same on a CPU that is lazy on the space")
        .cpu(User(0), |cpu| cpu.free_table_under_walkers(0))
        .cpu(Lazy(0), |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Plain>("walker-retired", WALKERS)
        .about("the same where the table waits in a queue")
        .cpu(User(0), |cpu| cpu.retire_table_under_walkers(0))
        .cpu(User(0), |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Firmware>("walker-interrupted", WALKERS)
        .about("the flush interrupts nobody, and walkers are interrupted before the table goes")
        .cpu(User(0), |cpu| cpu.free_table_and_interrupt_walkers(0))
        .cpu(User(0), |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Plain>("walker-elsewhere", WALKERS)
        .about("the same where the walker has the space not loaded")
        .cpu(User(0), |cpu| cpu.free_table_and_interrupt_walkers(0))
        .cpu(Kernel, |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Plain>("walker-hazard", WALKERS)
        .about("the walker has its interrupts on, and the table in a hazard pointer")
        .cpu(User(0), |cpu| cpu.free_table_behind_hazards(0))
        .cpu(User(0), |cpu| cpu.walk_behind_a_hazard(0, 0))
        .add();
}

/// Walkers for which no flush waits.
pub(super) fn mistakes(list: &mut List) {
    list.scenario::<Plain>("walker-unmasked", TWO)
        .about("a CPU walks in software with interrupts on, while a table is freed")
        .cpu(User(0), |cpu| cpu.free_table_under_walkers(0))
        .cpu(User(0), |cpu| cpu.walk(0, 0))
        .add();
    list.scenario::<Plain>("walker-of-another-space", TWO)
        .about("a CPU walks the tables of a space that it has not loaded")
        .cpu(User(0), |cpu| cpu.free_table_under_walkers(0))
        .cpu(Kernel, |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Plain>("walker-lazy-leaf", TWO)
        .about("a CPU that is lazy on a space walks to a page that is unmapped, whose table stays")
        .cpu(User(0), |cpu| cpu.unmap_split(0, 0))
        .cpu(Lazy(0), |cpu| cpu.walk_masked(0, 0))
        .add();
    list.scenario::<Firmware>("walker-under-firmware", TWO)
        .about("firmware flushes, and nobody is interrupted who walks with interrupts off")
        .cpu(User(0), |cpu| cpu.free_table_under_walkers(0))
        .cpu(User(0), |cpu| cpu.walk_masked(0, 0))
        .add();
}
