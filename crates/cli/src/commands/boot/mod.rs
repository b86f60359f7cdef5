//! Boots the bare-metal kernel in QEMU and checks what it reports.

mod count;
mod image;
mod machine;
mod own_time;
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
pub use plan::SCENARIOS;
use report::Row;

/// Runs `shootdown boot`.
///
/// # Errors
/// Arguments that cannot be used, programs that are missing, a kernel that does not build, output that cannot be
/// written.
pub fn boot(args: &BootArgs) -> Result<ExitCode, Failure> {
    let plan = Plan::of(args)?;
    if cfg!(not(unix)) {
        return Err(Failure::bad_input(
            format!("`boot` asks QEMU over a Unix socket, which {} does not have", std::env::consts::OS),
            "run it on Linux or macOS",
        ));
    }
    let interrupt = Interrupt::on_ctrl_c();
    let ended = match plan.count {
        true => count(&plan, &interrupt, args.json),
        false => scenarios(&plan, &interrupt, args.json),
    };
    // What a terminal's Ctrl-C has ended as well, QEMU or cargo, has not failed.
    if interrupt.came() { Ok(ExitCode::from(INTERRUPTED)) } else { ended }
}

/// Runs scenarios on each machine.
fn scenarios(plan: &Plan, interrupt: &Interrupt, json: bool) -> Result<ExitCode, Failure> {
    let mut rows = Vec::new();
    for &machine in &plan.machines {
        qemu::find(machine)?;
        let image = match &plan.image {
            Some(image) => image::existing(image)?,
            None => image::build(machine, plan.build())?,
        };
        let mut show = |row: &Row| -> Result<(), Failure> {
            if json {
                writeln!(anstream::stdout().lock(), "{}", row.json(plan))?;
            }
            Ok(())
        };
        rows.extend(qemu::run(machine, &image, plan, None, interrupt, &mut show)?);
        if interrupt.came() {
            break;
        }
    }
    if !json {
        report::table(&mut anstream::stdout().lock(), &rows, plan)?;
    }
    let clean = !rows.is_empty() && rows.iter().all(Row::is_clean);
    Ok(ExitCode::from(if clean { AS_EXPECTED } else { NOT_AS_EXPECTED }))
}

/// Counts instructions on each machine.
fn count(plan: &Plan, interrupt: &Interrupt, json: bool) -> Result<ExitCode, Failure> {
    let plugin = image::plugin()?;
    let mut counted = Vec::new();
    for &machine in &plan.machines {
        qemu::find(machine)?;
        let image = image::build(machine, plan.build())?;
        let files = tempfile::tempdir()?;
        let report = files.path().join("report");
        let argument = count::argument(machine, &plugin, &image, &report)?;
        let rows = qemu::run(machine, &image, plan, Some(&argument), interrupt, &mut |_| Ok(()))?;
        if !rows.iter().all(Row::is_clean) {
            report::table(&mut anstream::stdout().lock(), &rows, plan)?;
            return Ok(ExitCode::from(NOT_AS_EXPECTED));
        }
        counted.extend(count::read(machine, &report)?);
    }
    let mut out = anstream::stdout().lock();
    if json {
        counted.iter().try_for_each(|row| writeln!(out, "{}", row.json()))?;
    } else {
        count::table(&mut out, &counted)?;
    }
    Ok(ExitCode::from(AS_EXPECTED))
}
