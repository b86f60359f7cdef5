//! Words for people: what a step did, who is stuck where.

use crate::code::request::{Act, Change};
use crate::machine::cells::{Cells, number};
use crate::machine::device::Device;
use crate::machine::layout::entry_cell;
use crate::machine::moves::{Action, Move};
use crate::machine::node::DONE;
use crate::machine::op::Op;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, lock};
use crate::machine::weak::words::passed;
use crate::machine::world::World;
use std::fmt::Write as _;
use std::panic::Location;

/// Names CPUs that have not finished, and what each waits for, in a state in which nothing moves.
pub(crate) fn stuck<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>) -> String {
    let world = lock(machine.world);
    let mut text = String::new();
    for cpu in 0..machine.layout.cpus {
        let node = work.node(&machine.layout, cpu);
        if node == DONE {
            continue;
        }
        let separator = if text.is_empty() { "" } else { "; " };
        let what = match world.nodes[node as usize].op {
            Op::WaitFalse => format!("waits for {}", awaited(&world, node)),
            _ => format!("cannot do {}", intent(&world, node)),
        };
        let place = world.stories[node as usize]
            .place
            .map(|place| format!(" at {}", short(place)))
            .unwrap_or_default();
        let _ = write!(text, "{separator}CPU {cpu} {what}{place}");
    }
    format!("no CPU can go on: {text}")
}

/// Names CPUs that go on for ever, in a state from which not all CPUs can finish.
pub(crate) fn endless<S: Scenario>(machine: &Machine<'_, '_, S>, work: &Work<S::Device>) -> String {
    let world = lock(machine.world);
    let place = |cpu: usize| {
        let node = work.node(&machine.layout, cpu);
        let place = world.stories[node as usize].place.filter(|_| node != DONE)?;
        Some(format!("CPU {cpu} is at {}", short(place)))
    };
    let places: Vec<String> = (0..machine.layout.cpus).filter_map(place).collect();
    format!("from here on not all CPUs can finish, though some go on for ever: {}", places.join("; "))
}

/// The words that a blocked frame waits for, with what it has read.
fn awaited<S: Scenario>(world: &World<'_, S>, node: u32) -> String {
    let (start, count) = world.nodes[node as usize].reads;
    let reads = &world.reads[start as usize..start as usize + usize::from(count)];
    if reads.is_empty() {
        return "nothing (its condition reads no word)".to_owned();
    }
    let one = |&(cell, value): &(u16, u16)| {
        format!("{} to change from {}", world.cells.name(cell), shown(world, cell, value))
    };
    reads.iter().map(one).collect::<Vec<_>>().join(" or ")
}

/// What the frame at `node` wants to do next.
fn intent<S: Scenario>(world: &World<'_, S>, node: u32) -> String {
    let cell = |cell: u16| world.cells.name(cell);
    match world.nodes[node as usize].op {
        Op::Load { cell: id, .. } => format!("a load of {}", cell(id)),
        Op::Put { cell: id, .. } | Op::Buffer { cell: id, .. } => format!("a store to {}", cell(id)),
        Op::Rmw { cell: id, .. } => format!("a read-modify-write of {}", cell(id)),
        Op::Device { op, .. } => format!("device operation {op:#x}"),
        op => format!("{op:?}"),
    }
}

/// What the frame at `node` does next, as a wish.
pub(crate) fn next<S: Scenario>(world: &World<'_, S>, node: u32) -> String {
    let cell = |cell: u16| world.cells.name(cell);
    match world.nodes[node as usize].op {
        Op::Load { cell: id, .. } => format!("read {}", cell(id)),
        Op::Put { cell: id, value, .. } | Op::Buffer { cell: id, value, .. } => {
            format!("store {} to {}", shown(world, id, value), cell(id))
        }
        Op::Rmw { cell: id, change, .. } => format!("{} {}", verb(change), cell(id)),
        Op::Fence { .. } | Op::Mark | Op::Order(_) => "fence".to_owned(),
        Op::IrqSave => "turn interrupts off".to_owned(),
        Op::IrqRestore(true) => "turn interrupts on".to_owned(),
        Op::IrqRestore(false) => "leave interrupts off".to_owned(),
        Op::IrqEnabled => "see whether interrupts are on".to_owned(),
        Op::Raise { cpu, line } => format!("raise interrupt {line} on CPU {cpu}"),
        Op::Lose(_) => "lose interrupts that are pending".to_owned(),
        Op::Choose(n) => format!("choose among {n}"),
        Op::Device { op, .. } => world.scenario.device().show(op, 0),
        Op::Retire(object) => format!("give back {}", world.cells.object_name(object)),
        Op::WaitFalse => format!("wait for {}", awaited(world, node)),
        Op::LoopBack => "try again".to_owned(),
        Op::Done => "return".to_owned(),
        Op::Panicked | Op::Stop => world.text(node),
    }
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Swap(_) => "exchange",
        Change::Add(_) => "add to",
        Change::Sub(_) => "subtract from",
        Change::Or(_) => "set bits of",
        Change::And(_) => "clear bits of",
        Change::Cas(..) => "compare and exchange",
    }
}

/// What `mov` did, from the states around it.
pub(crate) fn describe<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    before: &Work<S::Device>,
    after: Option<&Work<S::Device>>,
    mov: Move,
) -> String {
    let world = lock(machine.world);
    let layout = &machine.layout;
    match mov.action {
        Action::Interrupt(line) => format!("takes interrupt {line}"),
        Action::Drain(index) => {
            let (entry, value) = before.entry(layout, mov.cpu, index.into());
            let cell = entry_cell(entry);
            let value = world.cells.show(cell, machine.values.decode(value));
            format!("{} = {value} reaches memory", world.cells.name(cell))
        }
        Action::Choose(pick) => format!("chooses {pick}"),
        Action::Run | Action::Older(_) => {
            let node = before.node(layout, mov.cpu);
            let answer = machine.answered.map(|answer| machine.values.decode(answer));
            let blocked = after.is_some_and(|after| {
                let next = after.node(layout, mov.cpu);
                world.nodes[next as usize].op == Op::WaitFalse && next != node
            });
            let mut text = step(machine, &world, before, mov.cpu, node, answer);
            text += &passed(machine, &world, before, mov);
            if blocked {
                let next = after.map_or(node, |after| after.node(layout, mov.cpu));
                let _ = write!(text, ", waits for {}", awaited(&world, next));
            }
            text
        }
    }
}

fn step<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    world: &World<'_, S>,
    before: &Work<S::Device>,
    cpu: usize,
    node: u32,
    answer: Option<u64>,
) -> String {
    let layout = &machine.layout;
    let memory = |cell: u16| world.values.decode(layout.cell(&before.words, cell));
    let name = |cell: u16| world.cells.name(cell);
    match world.nodes[node as usize].op {
        Op::Load { cell, .. } if layout.weak => {
            format!(
                "reads {} = {}",
                name(cell),
                world.cells.show(cell, answer.unwrap_or_else(|| memory(cell)))
            )
        }
        Op::Load { cell, .. } => {
            let (value, own) = machine.view(before, cpu, cell);
            let source = if own { " (own buffer)" } else { "" };
            format!("reads {} = {}{source}", name(cell), shown(world, cell, value))
        }
        Op::Put { cell, value, .. } => {
            let (new, old) = (shown(world, cell, value), world.cells.show(cell, memory(cell)));
            format!("{} := {new} (was {old})", name(cell))
        }
        Op::Buffer { cell, value, .. } => {
            let buffered = if layout.weak { "" } else { " (buffered)" };
            format!("{} := {}{buffered}", name(cell), shown(world, cell, value))
        }
        Op::Rmw { cell, change, .. } => {
            let old = answer.filter(|_| layout.weak).unwrap_or_else(|| memory(cell));
            modification(&world.cells, cell, change, old)
        }
        Op::Fence { .. } | Op::Mark | Op::Order(_) => match world.act(node) {
            Some(Act::Fence(order)) => format!("fence({order:?})"),
            _ => "fence".to_owned(),
        },
        Op::IrqSave => "interrupts off".to_owned(),
        Op::IrqRestore(true) => "interrupts on".to_owned(),
        Op::IrqRestore(false) => "interrupts stay off".to_owned(),
        Op::IrqEnabled => format!("interrupts are {}", if before.irq(layout, cpu) { "on" } else { "off" }),
        Op::Raise { cpu: target, line } => format!("raises interrupt {line} on CPU {target}"),
        Op::Lose(lines) => match before.pending(layout, cpu) & lines {
            0 => "no interrupt is lost".to_owned(),
            _ => "loses interrupts that were pending".to_owned(),
        },
        Op::Choose(n) => format!("chooses among {n}"),
        Op::Device { op, .. } => machine.scenario.device().show(op, answer.unwrap_or(0)),
        Op::Retire(object) => format!("gives back {}", world.cells.object_name(object)),
        Op::LoopBack => "tries again".to_owned(),
        Op::Done => "returns".to_owned(),
        Op::WaitFalse | Op::Panicked | Op::Stop => "waits".to_owned(),
    }
}

fn modification(cells: &Cells, cell: u16, change: Change, old: u64) -> String {
    let (name, was, show) = (cells.name(cell), cells.show(cell, old), |value: u64| cells.show(cell, value));
    match change {
        Change::Swap(new) => format!("{name} <- {} (was {was})", show(new)),
        Change::Add(by) => format!("{name} += {} (was {was})", number(by)),
        Change::Sub(by) => format!("{name} -= {} (was {was})", number(by)),
        Change::Or(bits) => format!("{name} |= {} (was {was})", show(bits)),
        Change::And(bits) => format!("{name} &= {} (was {was})", show(bits)),
        Change::Cas(current, new) if current == old => format!("{name}: {was} -> {}", show(new)),
        Change::Cas(current, new) => format!("{name}: {} -> {} fails (is {was})", show(current), show(new)),
    }
}

/// An encoded value of a word in words.
fn shown<S: Scenario>(world: &World<'_, S>, cell: u16, value: u16) -> String {
    world.cells.show(cell, world.values.decode(value))
}

/// A place in the code, with its path made short: `a/b/../../c` is `c`.
fn short(place: &Location<'_>) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in place.file().split('/') {
        if part == ".." && parts.last().is_some_and(|last| *last != "..") {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    format!("{}:{}:{}", parts.join("/"), place.line(), place.column())
}

/// Why `mov` is not possible in this state.
pub(crate) fn refusal<S: Scenario>(
    machine: &Machine<'_, '_, S>,
    work: &Work<S::Device>,
    mov: Move,
) -> String {
    let layout = &machine.layout;
    if mov.cpu >= layout.cpus {
        return format!("there is no CPU {}", mov.cpu);
    }
    let cpu = mov.cpu;
    match mov.action {
        Action::Drain(index) => format!("entry {index} of CPU {cpu}'s store buffer cannot reach memory now"),
        Action::Interrupt(line) => format!("CPU {cpu} cannot take interrupt {line} now"),
        Action::Run | Action::Older(_) | Action::Choose(_) => {
            let node = work.node(layout, cpu);
            let world = lock(machine.world);
            match world.nodes[node as usize].op {
                Op::Done if work.top(layout, cpu) == 0 => format!("CPU {cpu} has finished"),
                Op::WaitFalse => format!("CPU {cpu} waits for {}", awaited(&world, node)),
                _ if work.buffered(layout, cpu) > 0 => {
                    format!("CPU {cpu} must wait for its store buffer before {}", intent(&world, node))
                }
                _ => format!("CPU {cpu} cannot do {}", intent(&world, node)),
            }
        }
    }
}
