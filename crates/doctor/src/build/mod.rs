//! Builds a program around a given platform, and runs it.

mod package;
mod refused;
mod source;

pub use refused::DoctorError;

use crate::report::{Event, Outcome, Report, Verdict};
use package::Package;
use source::{Hidden, Source};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Where platforms are built, and how long one check may take.
#[derive(Clone, Debug)]
pub struct Build {
    /// The checkout of this project: its crates are what a platform is built against, and its target folder is shared.
    pub checkout: PathBuf,
    /// After this long without an event, the platform is taken to be in an endless loop.
    pub patience: Duration,
}

impl Default for Build {
    /// The checkout from which this crate was built.
    fn default() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let checkout = here.ancestors().nth(2).unwrap_or(here).to_path_buf();
        Self { checkout, patience: Duration::from_secs(60) }
    }
}

/// Examines the platform in a Rust source file, or in the folder of a crate. In a test:
///
/// ```no_run
/// let report = shootdown_doctor::examine_path("src/platform.rs".as_ref()).expect("it compiles");
/// assert!(report.is_sound(), "{report}");
/// ```
///
/// # Errors
/// [`DoctorError`]: there is nothing there that can be examined.
pub fn examine_path(path: &Path) -> Result<Report, DoctorError> {
    Build::default().examine(path, |_| {})
}

impl Build {
    /// Does what [`examine_path`] does; `seen` is told of each check as it ends.
    ///
    /// # Errors
    /// [`DoctorError`]: there is nothing there that can be examined.
    pub fn examine(&self, path: &Path, mut seen: impl FnMut(&Outcome)) -> Result<Report, DoctorError> {
        let (source, hidden) = Source::find(path, &self.checkout)?;
        let package = Package::write(&self.checkout, &source)?;
        let program = package.build()?;
        let mut child =
            Command::new(&program).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().map_err(|error| {
                DoctorError::CannotRun { program: program.clone(), error: error.to_string() }
            })?;
        let report = match events(&mut child) {
            Ok(events) => {
                let mut report = self.receive(&events, &mut seen);
                for unseen in hidden.iter().map(unseen) {
                    seen(&unseen);
                    report.checks.push(unseen);
                }
                Ok(report)
            }
            Err(error) => Err(DoctorError::CannotRun { program, error: error.to_string() }),
        };
        // It has ended, or nobody reads its output any more; an error means that it had ended.
        let _ = child.kill();
        let _ = child.wait();
        report
    }

    /// Names the engine's files as they are named in the checkout.
    fn shorten(&self, outcome: &mut Outcome) {
        let checkout = format!("{}/", self.checkout.display());
        let shorten = |text: &mut String| *text = text.replace(&checkout, "");
        outcome.what.iter_mut().for_each(shorten);
        for step in outcome.finding.iter_mut().flat_map(|finding| &mut finding.steps) {
            shorten(&mut step.text);
            step.place.iter_mut().for_each(shorten);
        }
    }

    /// Collects the program's events, and notices when it ends or hangs before it sends them all.
    fn receive(&self, events: &Receiver<Event>, seen: &mut impl FnMut(&Outcome)) -> Report {
        let mut report = Report::default();
        let mut begun: Option<Outcome> = None;
        let why = loop {
            match events.recv_timeout(self.patience) {
                Ok(Event::Begins(outcome)) => begun = Some(outcome),
                Ok(Event::Ended(mut outcome)) => {
                    begun = None;
                    self.shorten(&mut outcome);
                    seen(&outcome);
                    report.checks.push(outcome);
                }
                Err(RecvTimeoutError::Timeout) => {
                    break "the platform does not come back: a loop that waits must use shootdown::ports::sync::wait_until";
                }
                Err(RecvTimeoutError::Disconnected) => {
                    break "the program died: the platform ran out of stack (a method that calls itself without end, as a \
                           dropped teardown does in defer_teardown), or used memory that is not there";
                }
            }
        };
        if let Some(mut outcome) = begun {
            (outcome.verdict, outcome.what) = (Verdict::Wrong, Some(why.to_owned()));
            seen(&outcome);
            report.checks.push(outcome);
        }
        report
    }
}

/// The line on an atomic that no check saw.
fn unseen(Hidden { path, line, text }: &Hidden) -> Outcome {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    Outcome {
        check: "core-atomics".to_owned(),
        about: "atomics of `core` run, and are no points at which another CPU comes in".to_owned(),
        verdict: Verdict::Unneeded,
        memories: Vec::new(),
        what: Some(format!("not examined: no other CPU comes in before {name}:{line}, {text}")),
        finding: None,
        cpus: 0,
        states: 0,
    }
}

/// Reads the program's lines on a thread of its own, so that silence can be noticed.
///
/// # Errors
/// This host gives no thread.
fn events(child: &mut Child) -> io::Result<Receiver<Event>> {
    let (send, receive) = channel();
    let output = child.stdout.take();
    let read = move || {
        for line in output.into_iter().flat_map(|output| BufReader::new(output).lines().map_while(Result::ok))
        {
            // A platform may print, too.
            let Ok(event) = serde_json::from_str(&line) else { continue };
            if send.send(event).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().spawn(read)?;
    Ok(receive)
}
