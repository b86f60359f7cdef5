//! An SMP emulator for RISC-V whose TLBs the engine keeps coherent.
//!
//! ```console
//! $ cd examples/emulator
//! $ cargo run --release -- --list
//! $ cargo run --release -- migrate                    # exit 0
//! $ cargo run --release -- migrate --drop-rule SD-3   # exit 1: the emulator's check names CPU, page and flush
//! ```
//!
//! Harts run RV64IMA in supervisor and user mode with Sv39 page tables, and call the firmware by SBI. Each is a thread
//! and a [virtual CPU](shootdown_host::VirtualCpu). While they run, the host moves the guest's memory from frame to
//! frame, as a balloon, a merger of equal pages or a migration does, and gives every frame that the guest has left to a
//! neighbour, who overwrites it at once.
//!
//! # What an address space is here
//!
//! A guest's address goes through two tables, and a virtual CPU has a TLB for each (`vm/tlbs.rs`):
//!
//! ```text
//!   guest-virtual ──(the guest's page tables)──► guest-physical ──(the host's table, `stage2.rs`)──► frame
//!                  TLB under the guest's ASIDs                   TLB under the engine's tags
//! ```
//!
//! - **Guest-physical memory is an address space of the engine.** The host changes its table while harts run: it makes
//!   pages read-only, flushes, copies, maps the copies, and gives the old frames to a gather, which lets go of them
//!   when no virtual CPU can reach them any more (`vm/mover.rs`). Without the engine that would be use after free in
//!   somebody else's memory. A hart that waits, calls the firmware or meets a page that is being copied is outside
//!   guest code: flushes pass it over.
//! - **Guest-virtual translations are the guest's.** They are under no tag of the engine's and lead to guest-physical
//!   memory, so that a stale one harms the guest alone. A hart's `sfence.vma` drops its own. SBI's remote fence reaches
//!   the harts that the guest names ([`Harts::fence`](shootdown_host::Harts::fence)), in the address space that it
//!   names: those in guest code are waited for, the others drop what was fenced when they come back. When to fence is
//!   the guest's business.
//!
//! # What is checked
//!
//! `findings.rs` says what can be found. Each frame has an owner and an epoch, which changes with the owner; a TLB's
//! entry remembers the epoch in which it was made. A hart that reads or writes a frame through an entry of another
//! epoch has used what is somebody else's, whatever it found there. The neighbour looks for overwritten canaries as
//! well. A guest-virtual translation, and the right to the access, is compared with the guest's page tables at every
//! fetch, load and store: one that outlives a complete fence for any address of its leaf is the host's fault, one for
//! which the guest has not fenced is the guest's own, and it is told.
//!
//! That is about what was used. The TLB sanitizer (`vm/watch.rs`) is told of each flush and each gather, and says when
//! a frame is given back that a CPU could still use, whether it does or not, and which flush is missing.
//!
//! Guests cannot harm the host: all memory that they reach is the array of frames, whatever their page tables say.
//!
//! # Removing a rule
//!
//! The machine (`vm/`) is compiled twice: on the engine as it ships (`shipped.rs`), and on the same source with the
//! switches that remove a rule (`breakable.rs`), which `--drop-rule` runs. The guest `migrate` shows the absence of
//! SD-1, SD-3, SD-4, SD-5 and SD-9, and often of SD-6, SD-8 and SD-14. The others are about what this machine has not
//! got (several spaces, freed tables, hotplug).
//!
//! # What is left out
//!
//! Compressed instructions, floating point, timers, devices. Store-conditional compares values, so that it does not
//! notice a value that has changed and changed back. Accessed and dirty bits are the guest's to set.

mod args;
mod breakable;
mod console;
mod fences;
mod findings;
mod frames;
#[cfg(test)]
mod fuzz;
mod guests;
mod hart;
mod image;
mod isa;
mod plan;
mod shared;
mod shipped;
mod stage2;
mod sv39;

use args::Args;
use clap::Parser;
use image::Image;
use plan::Plan;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = Args::parse();
    if args.list {
        print!("{}", args::list());
        return ExitCode::SUCCESS;
    }
    let image = match image(args.guest.as_deref().unwrap_or_default()) {
        Ok(image) => image,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(2);
        }
    };
    let plan = Plan {
        image,
        cpus: args.cpus,
        steps: args.steps,
        seconds: args.seconds,
        moves: (!args.no_moves).then_some(args.seed),
        dropped: args.drop_rule,
        fencing: !args.skip_fences,
    };
    let report = match plan.dropped {
        None => shipped::vm::run(&plan),
        Some(rule) => {
            breakable::drop_rule(rule);
            breakable::vm::run(&plan)
        }
    };
    print!("{}", report.text(&plan));
    ExitCode::from(report.verdict() as u8)
}

/// The guest that is built in under this name or stored in this file.
fn image(name: &str) -> Result<Image, String> {
    if let Some(guest) = guests::named(name) {
        return Image::parse(guest.elf).map_err(|error| format!("built-in guest {name}: {error}"));
    }
    let file = std::fs::read(name).map_err(|error| {
        let names: Vec<_> = guests::ALL.iter().map(|guest| guest.name).collect();
        format!(
            "no guest '{name}': it is not built in, and as a file it cannot be read ({error})\n\
             give the path of an ELF file for RV64IMA, or one of: {}",
            names.join(", ")
        )
    })?;
    Image::parse(&file).map_err(|error| format!("{name}: {error}"))
}
