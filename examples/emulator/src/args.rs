//! The command line.

use crate::{breakable, guests};
use clap::Parser;

/// Most virtual CPUs of a machine.
pub const MAX_HARTS: u32 = 16;

/// Runs a RISC-V guest on virtual CPUs that are threads, while the host moves the guest's memory about.
///
/// Exit code 0: the guest ended well. 1: the emulator's check saw a CPU use memory that was somebody else's (with
/// --drop-rule or --skip-fences, that is what to expect). 2: the command line or the file is wrong. 3: the guest failed by its own doing, and
/// the host is sound.
#[derive(Debug, Parser)]
#[command(name = "emulator", max_term_width = 100)]
pub struct Args {
    /// A built-in guest (see --list) or an ELF file for RV64IMA, linked to 0x80000000
    #[arg(required_unless_present = "list")]
    pub guest: Option<String>,
    /// Lists the built-in guests
    #[arg(long)]
    pub list: bool,
    /// Virtual CPUs
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_HARTS)))]
    pub cpus: u32,
    /// Removes a rule from the engine, as INVARIANTS.md numbers them (`migrate` shows SD-1, SD-3, SD-4, SD-5 and SD-9)
    #[arg(long, value_name = "SD-N", value_parser = rule)]
    pub drop_rule: Option<u8>,
    /// Instructions after which a hart is stopped
    #[arg(long, value_name = "N", default_value_t = 200_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: u64,
    /// Seconds after which the machine is stopped
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Decides which pages the host moves
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Leaves the guest's memory where it is
    #[arg(long)]
    pub no_moves: bool,
    /// Answers remote fences of the guest without carrying them out (`remap` and `leaf-remote` show it)
    #[arg(long)]
    pub skip_fences: bool,
}

fn rule(text: &str) -> Result<u8, String> {
    let number = text.strip_prefix("SD-").and_then(|number| number.parse().ok());
    number.filter(|&number| breakable::has_rule(number)).ok_or_else(|| {
        let last = (1..=u8::MAX).take_while(|&number| breakable::has_rule(number)).count();
        format!("rules are SD-1 to SD-{last}")
    })
}

/// The list of built-in guests.
pub fn list() -> String {
    let line = |guest: &guests::Guest| format!("{:10}{:84}{}\n", guest.name, guest.what, guest.ends);
    guests::ALL.iter().map(line).collect()
}
