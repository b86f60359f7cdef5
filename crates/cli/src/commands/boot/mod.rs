//! Boots the bare-metal kernel in QEMU and judges what it reports.

mod image;
mod machine;
mod plan;
mod qemu;
mod report;
mod symbols;

use std::io::Write;
use std::process::ExitCode;

use crate::args::BootArgs;
use crate::failure::{AS_EXPECTED, Failure, INTERRUPTED, NOT_AS_EXPECTED};
use crate::interrupt::Interrupt;
use plan::Plan;
use report::Row;

/// Runs `shootdown boot`.
///
/// # Errors
/// Arguments that cannot be used, programs that are missing, a kernel that does not build, output that cannot be written.
pub fn boot(args: &BootArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::of(args)?;
    let interrupt = Interrupt::listen();
    let mut rows = Vec::new();
    for &machine in &plan.machines {
        qemu::find(machine)?;
        let image = match &plan.image {
            Some(image) => image::existing(image)?,
            None => image::build(machine, plan.removes_rule())?,
        };
        let mut show = |row: &Row| -> Result<(), Failure> {
            if args.json {
                writeln!(anstream::stdout().lock(), "{}", row.json(&plan))?;
            }
            Ok(())
        };
        rows.extend(qemu::run(machine, &image, &plan, &interrupt, &mut show)?);
        if interrupt.came() {
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    if !args.json {
        report::table(&mut anstream::stdout().lock(), &rows, &plan)?;
    }
    let clean = !rows.is_empty() && rows.iter().all(Row::is_clean);
    Ok(ExitCode::from(if clean { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}
