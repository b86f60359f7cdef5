//! Events of an engine arrive at a logger.

use crate::support::running;
use log::{Level, LevelFilter, Log, Metadata};
use std::sync::Mutex;

struct Kept(Mutex<Vec<(Level, String, String)>>);

impl Log for Kept {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let line = (record.level(), record.target().to_owned(), record.args().to_string());
        self.0.lock().expect("no panic").push(line);
    }
    fn flush(&self) {}
}

static KEPT: Kept = Kept(Mutex::new(Vec::new()));

#[test]
fn events_are_logged_at_trace_and_only_there() {
    log::set_logger(&KEPT).expect("the first");
    let (engine, user) = running();
    let machine = engine.platform();
    engine.flush(&user, shootdown::flush::FlushRequest::all());
    engine.enter_lazy();
    let cpu = shootdown::CpuId::new(0);
    let events = machine.take_events();
    log::set_max_level(LevelFilter::Debug);
    events.iter().for_each(|event| shootdown_integrations::log::emit(cpu, *event));
    assert_eq!(*KEPT.0.lock().expect("no panic"), []);
    log::set_max_level(LevelFilter::Trace);
    events.iter().for_each(|event| shootdown_integrations::log::emit(cpu, *event));
    let lines = KEPT.0.lock().expect("no panic");
    let text: Vec<&str> = lines.iter().map(|(_, _, text)| text.as_str()).collect();
    assert_eq!(
        text,
        [
            "CPU 0 online",
            "CPU 0 switched space=1",
            "CPU 0 announced space=1 generation=2",
            "CPU 0 caught-up space=1 generation=2",
            "CPU 0 went-lazy",
        ]
    );
    assert!(lines.iter().all(|(level, target, _)| *level == Level::Trace && target == "shootdown"));
}
