//! Hard life: what goes wrong around the engine must cost time, and nothing else. `docs/hard-life.md` lists what is
//! shown here, and what is shown elsewhere.

mod ipis;
#[path = "../machine/mod.rs"]
mod machine;
mod panics;
mod stuck;
mod tags;
mod unwind;
mod wrap;

use machine::state::State;
use machine::{Kind, Machine, Plain, space};
use shootdown::tags::PerCpuSlots;

type Slots = Plain<PerCpuSlots<2>>;
type Host = Machine<Slots>;
type User = machine::User<Slots>;

const STALL_POLLS: u64 = Slots::STALL_POLLS;
/// Polls for which a CPU that is stuck takes no interrupts.
const STUCK: u64 = if cfg!(miri) { 14 } else { 50 };

/// A machine with `cpus` CPUs on line.
fn machine(cpus: u32) -> &'static Host {
    let state = State::new(cpus);
    machine::machine(state, Slots::mask(state), PerCpuSlots)
}

/// A machine on which CPUs 0 and 1 run a space, and CPU 1 holds page 1 of it.
fn two() -> (&'static Host, User) {
    let host = machine(2);
    let user = space(host, 0xa000);
    host.run(0, &user);
    host.run(1, &user);
    host.touch(1, 1);
    (host, user)
}
