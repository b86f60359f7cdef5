//! An SMP emulator for RISC-V whose TLBs the engine keeps coherent.
mod args;
mod breakable;
mod console;
mod frames;
mod guests;
mod hart;
mod image;
mod isa;
mod judge;
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
