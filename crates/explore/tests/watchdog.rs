//! A step that does not come back is seen from another thread, with its place.

use crate::common::{Program, Words, plain};
use shootdown_explore::{Hung, Memory, Watchdog, explore};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

static LET_GO: AtomicBool = AtomicBool::new(false);

#[test]
fn a_loop_without_steps_is_seen_after_its_last_step_until_it_ends() {
    let mut watchdog = Watchdog::default();
    let mut hung: Option<Hung> = None;
    thread::scope(|scope| {
        scope.spawn(|| {
            let program = Program::new(&[
                |_: &Words| {},
                |w: &Words| {
                    w.x[0].load(Relaxed);
                    while !LET_GO.load(Acquire) {
                        std::hint::spin_loop();
                    }
                },
            ]);
            explore(&program, &plain(Memory::Sc))
        });
        while hung.is_none_or(|hung| hung.looks < 5) {
            thread::sleep(Duration::from_millis(2));
            hung = watchdog.look();
        }
        LET_GO.store(true, Release);
    });
    let hung = hung.expect("seen");
    let place = hung.after.expect("it made a step");
    assert_eq!((hung.cpu, hung.line), (Some(1), None));
    assert!(place.file().ends_with("tests/watchdog.rs"), "{place}");
    assert_eq!(watchdog.look(), None);
}
