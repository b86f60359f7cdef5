use shootdown_machine::watchdog;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::failure::{INTERRUPTED, tell};

/// Whether the user asked to stop (Ctrl-C). A second Ctrl-C ends the process at once, and the first one too where the
/// code of a case does not come back from a step.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Watches for Ctrl-C. Where no handler can be set, Ctrl-C keeps ending the process, which is what it says.
    pub fn on_ctrl_c() -> Self {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        let set = ctrlc::set_handler(move || {
            watchdog::asked_to_stop(INTERRUPTED);
            if flag.swap(true, Ordering::Relaxed) {
                shootdown_explore::exit(i32::from(INTERRUPTED));
            }
        });
        if let Err(error) = set {
            tell(format_args!("note: Ctrl-C will end the run without a summary: {error}"));
        }
        interrupt
    }

    /// The flag, for [`shootdown_explore::Options::stop`].
    pub fn flag(&self) -> &AtomicBool {
        &self.0
    }

    /// Whether Ctrl-C came.
    pub fn came(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
