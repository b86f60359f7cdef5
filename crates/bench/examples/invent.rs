//! Prints ftrace text of a recording that never was: `invent BYTES [CPUS [SEED]]`, for `shootdown record-import`.

use shootdown_bench::trace::Invented;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let numbers: Vec<Option<u64>> = std::env::args().skip(1).map(|text| text.parse().ok()).collect();
    let (bytes, cpus, seed) = match numbers[..] {
        [Some(bytes)] => (bytes, 4, 1),
        [Some(bytes), Some(cpus)] => (bytes, cpus, 1),
        [Some(bytes), Some(cpus), Some(seed)] => (bytes, cpus, seed),
        _ => {
            eprintln!("usage: invent BYTES [CPUS [SEED]]");
            return ExitCode::from(2);
        }
    };
    let Ok(cpus @ 1..=4096) = u16::try_from(cpus) else {
        eprintln!("{cpus} CPUs; a machine has 1 to 4096");
        return ExitCode::from(2);
    };
    match io::copy(&mut Invented::new(bytes, cpus, seed), &mut io::stdout().lock()) {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot write: {error}");
            ExitCode::from(2)
        }
    }
}
