//! A translator whose four virtual CPUs are fibers of two threads.
//!
//! ```console
//! $ cargo run -p example-jit              # exit 0: no read was stale
//! $ cargo run -p example-jit -- no-fence  # exit 1: the guest leaves its fence out, and reads are stale
//! ```
//!
//! `platform.rs` and `fibers.rs` are what such an embedder writes for the engine: a word that translated code polls,
//! which fiber runs, and a yield that nobody waits for. `guest.rs` is the guest. `shootdown doctor examples/jit`
//! examines `platform.rs`, with the host package around it, on a simulated machine.

mod fibers;
mod guest;
mod platform;

use fibers::running_hart;
use guest::{GUEST, Memory, ROUNDS, code};
use platform::{HARTS, State};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let fencing = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => true,
        ["no-fence"] => false,
        _ => {
            eprintln!("error: unknown arguments {arguments:?}; give none, or `no-fence`");
            return ExitCode::from(2);
        }
    };
    let states: Arc<[State; HARTS]> = Arc::default();
    // Fibers own what they use until the program ends.
    let machine = Box::leak(Box::new(platform::machine(&states).build().expect("a few harts fit")));
    let space = machine.new_space(());
    let memory = GUEST.get_or_init(|| Memory::new(machine, states, fencing));
    std::thread::scope(|threads| {
        for first in [0, 2] {
            let (space, machine) = (space.clone(), memory.machine);
            threads.spawn(move || fibers::run(machine, space, first..first + 2, code));
        }
    });
    let (reads, stale) = memory.reads();
    let exits = memory.states.each_ref().map(|state| state.exits.load(Relaxed));
    println!("{HARTS} harts on 2 threads, {ROUNDS} rounds, {reads} reads: {stale} stale");
    println!(
        "called out of their blocks: harts 1 and 2 {} times, hart 3 {} times",
        exits[1] + exits[2],
        exits[3]
    );
    println!("platform: {} lines", platform_lines());
    if stale == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Lines of the platform that are neither empty nor comments.
fn platform_lines() -> usize {
    let files = [include_str!("platform.rs"), include_str!("fibers.rs")];
    let lines = files.into_iter().flat_map(str::lines).map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}
