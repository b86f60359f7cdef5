//! Prints the events of a flush, as a logger gets them.
//!
//! Run it with `cargo run -p shootdown-trace --example log`.

use log::{LevelFilter, Log, Metadata};
use shootdown::CpuId;
use shootdown::flush::{PageTables, Scope};
use shootdown_adapter_rig::running;

struct Console;

impl Log for Console {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        println!("{} {}: {}", record.level(), record.target(), record.args());
    }
    fn flush(&self) {}
}

fn main() -> Result<(), log::SetLoggerError> {
    log::set_logger(&Console)?;
    log::set_max_level(LevelFilter::Trace);
    let (engine, user) = running();
    engine.flush(&user, Scope::All, PageTables::Kept);
    // A platform does this as the events come.
    for event in engine.platform().take_events() {
        shootdown_trace::to_log(CpuId::new(0), event);
    }
    Ok(())
}
