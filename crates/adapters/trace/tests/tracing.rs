//! Events of an engine arrive at a subscriber, with their fields.

use shootdown::trace::Event;
use shootdown::{CpuId, SpaceId};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Level, Metadata, Subscriber};

type Lines = Arc<Mutex<Vec<String>>>;

/// Keeps events under one target.
struct Kept(Lines);

impl Subscriber for Kept {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == shootdown_trace::TARGET && *metadata.level() == Level::TRACE
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

#[test]
fn events_arrive_with_the_fields_that_they_have() {
    let lines = Lines::default();
    let (space, cpu) = (SpaceId::new(7), CpuId::new(1));
    tracing::subscriber::with_default(Kept(Arc::clone(&lines)), || {
        for event in [Event::Switched(space), Event::IpiSent(CpuId::new(3)), Event::IpiHandled] {
            shootdown_trace::to_tracing(cpu, event);
        }
    });
    shootdown_trace::to_tracing(cpu, Event::Online);
    let lines = lines.lock().expect("no panic");
    let expected = [
        r#"cpu=1 space=7 message="switched" "#,
        r#"cpu=1 target=3 message="ipi sent" "#,
        r#"cpu=1 message="ipi handled" "#,
    ];
    assert_eq!(*lines, expected);
}
