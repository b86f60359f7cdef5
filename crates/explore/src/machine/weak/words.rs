//! Words for people: what a step passed over.

use crate::machine::moves::{Action, Move};
use crate::machine::op::Op;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::Machine;
use crate::machine::weak::messages::{ACQUIRE, Message, NOBODY};
use crate::machine::world::World;

/// Which store a load or read-modify-write read past, and why it may; which one a store goes before; or how many fences
/// a fence goes before.
pub(crate) fn passed<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    world: &World<'_, S>,
    before: &Work<S::Device>,
    mov: Move,
) -> String {
    let Action::Older(newer) = mov.action else { return String::new() };
    let op = world.nodes[before.node(&machine.layout, mov.cpu) as usize].op;
    let (cell, relation) = match op {
        Op::Load { cell, .. } | Op::Rmw { cell, .. } => (cell, "older than"),
        Op::Buffer { cell, .. } => (cell, "before"),
        _ => return format!(" (before {newer} that ran earlier)"),
    };
    let Some(next) = (before.weak.newest(cell) + 1).checked_sub(newer.into()) else { return String::new() };
    let Some(message) = before.weak.message(cell, next) else { return String::new() };
    // What relaxed loads have brought counts once there is an acquire fence.
    let heard = usize::from(before.weak.view(mov.cpu, ACQUIRE)[usize::from(cell)]) >= next;
    let why = if heard { "has heard without acquire" } else { "has not heard" };
    format!(" ({relation} {}, of which this CPU {why})", store(world, cell, message))
}

fn store<S: Scenario>(world: &World<'_, S>, cell: u16, message: &Message) -> String {
    let value = world.cells.show(cell, world.values.decode(message.value));
    match message.writer {
        NOBODY => format!("the store of {value}"),
        cpu => format!("CPU {cpu}'s store of {value}"),
    }
}
