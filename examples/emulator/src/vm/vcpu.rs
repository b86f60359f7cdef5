//! A virtual CPU's thread.

use super::access::Access;
use super::firmware;
use super::host::{Guest, Poll, VirtualCpu};
use super::tlbs::Tlbs;
use super::{Machine, Platform, Space};
use crate::frames::lock;
use crate::hart::{Hart, Next, Stop, step};
use crate::shared::{End, Power, Shared};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Instructions between two polls.
const BATCH: u32 = 64;
/// Longest time that a hart sleeps before it looks whether the machine has ended.
const NAP: Duration = Duration::from_millis(20);

/// Why a virtual CPU left guest code.
#[derive(Clone, Copy, Debug)]
enum Exit {
    /// It was called out.
    Called,
    /// A page that it wants to write is being moved.
    Busy,
    /// It waits for another hart.
    Pause,
    /// It waits for an interrupt.
    Wait,
    /// It calls the firmware.
    Call,
    /// It can do no more.
    Stopped,
}

/// Runs hart `number` until the machine ends.
pub fn run(machine: &Machine, space: &Space<'_>, shared: &Shared, number: u32, most_steps: u64) {
    let mut cpu = machine.virtual_cpu(number, Tlbs::new()).expect("each number is attached once");
    let slot = &shared.harts[number as usize];
    let mut steps = 0;
    while !shared.has_ended() {
        let power = *lock(&slot.power);
        let Power::Starting(pc, opaque) = power else {
            cpu.wait(NAP);
            continue;
        };
        *lock(&slot.power) = Power::On;
        let mut hart = Hart::new(number.into(), pc, opaque);
        hart.steps = steps;
        while !shared.has_ended() && *lock(&slot.power) == Power::On {
            let exit = cpu.run(space, |guest| guest_code(guest, shared, &mut hart, most_steps));
            after(exit, &mut cpu, machine, shared, &mut hart);
        }
        steps = hart.steps;
        slot.steps.store(steps, Ordering::Relaxed);
    }
    // What the guest never fenced is known now.
    cpu.run(space, |guest| lock(&shared.unfenced).append(&mut guest.tlb().unfenced));
}

/// Runs guest code until it needs something.
fn guest_code(
    guest: &mut Guest<'_, '_, Platform, Tlbs>,
    shared: &Shared,
    hart: &mut Hart,
    most_steps: u64,
) -> Exit {
    let cpu = guest.id().number();
    while guest.poll() == Poll::Continue && !shared.has_ended() {
        let slot = &shared.harts[cpu as usize];
        slot.steps.store(hart.steps, Ordering::Relaxed);
        if slot.interrupt.swap(false, Ordering::Acquire) {
            hart.interrupt();
        }
        if hart.steps >= most_steps {
            shared.end(End::Steps { hart: hart.id, pc: hart.pc });
            return Exit::Stopped;
        }
        let mut tlbs = guest.tlb();
        let mut memory = Access { cpu, tlbs: &mut tlbs, shared };
        for _ in 0..BATCH {
            hart.take_interrupt();
            match step(hart, &mut memory) {
                Ok(Next::Step) => {}
                Ok(Next::Pause) => return Exit::Pause,
                Ok(Next::Wait) => return Exit::Wait,
                Ok(Next::Call) => return Exit::Call,
                Err(Stop::Busy) => return Exit::Busy,
                Err(Stop::Found) => return Exit::Stopped,
                Err(Stop::Trap(trap)) => {
                    if let Err(trap) = hart.trap(trap) {
                        shared.end(End::Trap { hart: hart.id, pc: hart.pc, trap });
                        return Exit::Stopped;
                    }
                }
            }
        }
    }
    Exit::Called
}

/// Does what guest code needs, outside of it: no flush waits for this CPU meanwhile.
fn after(
    exit: Exit,
    cpu: &mut VirtualCpu<'_, Platform, Tlbs>,
    machine: &Machine,
    shared: &Shared,
    hart: &mut Hart,
) {
    match exit {
        Exit::Called | Exit::Stopped => {}
        Exit::Busy | Exit::Pause => std::thread::yield_now(),
        Exit::Wait => {
            let interrupt = &shared.harts[hart.id as usize].interrupt;
            while !hart.wakes() && !interrupt.load(Ordering::Relaxed) && !shared.has_ended() {
                cpu.wait(NAP);
            }
        }
        Exit::Call => firmware::call(machine, shared, hart),
    }
}
