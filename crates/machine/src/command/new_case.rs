use super::args::Args;
use super::{AS_EXPECTED, Failure};
use crate::template;
use std::io::Write;

/// Writes a first sketch.
///
/// # Errors
/// A name that no model can have, a file that is there already, a folder that cannot be written to.
pub fn new_case(args: &Args, out: &mut impl Write) -> Result<u8, Failure> {
    let name = &args.names[0];
    let path = template::sketch(name, &args.dir).map_err(|refused| Failure::Input(refused.to_string()))?;
    let module = path.file_stem().unwrap_or_default().to_string_lossy();
    writeln!(
        out,
        "Written: {}\n\nIt is a small bug that shows, to be replaced by yours:\n  \
         1. name it in src/main.rs:  mod {module};  and {module}::SKETCH in the list\n  \
         2. cargo run --release -- check {name}\n  \
         3. cargo run --release -- explain {name}",
        path.display()
    )?;
    Ok(AS_EXPECTED)
}
