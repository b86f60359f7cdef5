//! How far a run is: a line on the terminal, and where standard error is none, a line there every few seconds.

use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use shootdown_explore::Progress;
use shootdown_machine::{Case, Kind};
use std::io::{IsTerminal, stderr};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::tell;
use crate::threads::afford;

/// From one line to the next where there is no terminal.
const BEAT: Duration = Duration::from_secs(5);
/// Lines after which each pause is twice as long as the one before, so that a long run fills no page.
const EARLY_BEATS: u32 = 6;

/// The progress of one case, or of one machine.
#[derive(Debug)]
pub struct Line {
    bar: ProgressBar,
    name: String,
}

impl Line {
    /// Starts the line of the case called `name`.
    pub fn start(name: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        tick(&bar);
        bar.set_message(name.to_owned());
        Self { bar, name: name.to_owned() }
    }

    /// Shows `progress`.
    pub fn show(&self, progress: Progress) {
        self.bar.set_message(format!("{}: {}", self.name, in_words(progress)));
    }

    /// Shows a text.
    #[cfg(feature = "full")]
    pub fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// The progress of a run of several cases.
#[derive(Debug)]
pub struct Run {
    line: ProgressBar,
    state: Arc<Mutex<State>>,
    /// Dropping it ends the thread that prints where there is no terminal.
    _beats: Option<Sender<()>>,
}

/// How far it is.
#[derive(Clone, Debug)]
struct State {
    begin: Instant,
    done: usize,
    cases: usize,
    effort: Effort,
    name: String,
}

/// Rough shares of the time that cases take.
#[derive(Clone, Copy, Debug)]
struct Effort {
    done: u64,
    whole: u64,
}

impl Run {
    /// Starts a run of `cases`.
    pub fn start(cases: &[&Case]) -> Self {
        let state = Arc::new(Mutex::new(State {
            begin: Instant::now(),
            done: 0,
            cases: cases.len(),
            effort: Effort { done: 0, whole: cases.iter().map(|case| effort(case)).sum() },
            name: String::new(),
        }));
        let line = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            line.set_style(style);
        }
        let beats = if stderr().is_terminal() {
            tick(&line);
            None
        } else {
            Some(beat(Arc::clone(&state)))
        };
        Self { line, state, _beats: beats }
    }

    /// Takes that `case` begins.
    pub fn begin(&self, case: &Case) {
        let mut state = lock(&self.state);
        state.name.clone_from(&case.name);
        self.line.set_message(state.in_words(Instant::now()));
    }

    /// Shows how far the case is that has begun.
    pub fn show(&self, progress: Progress) {
        let state = lock(&self.state).in_words(Instant::now());
        self.line.set_message(format!("{state}: {}", in_words(progress)));
    }

    /// Takes that `case` has ended.
    pub fn end(&self, case: &Case) {
        let mut state = lock(&self.state);
        state.done += 1;
        state.effort.done += effort(case);
    }

    /// Prints results, which the line would be in the way of.
    pub fn print<R>(&self, print: impl FnOnce() -> R) -> R {
        self.line.suspend(print)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.line.finish_and_clear();
    }
}

impl State {
    /// Returns `n of N, about m s to go`, and the case that runs.
    fn in_words(&self, now: Instant) -> String {
        let left = self.left(now).map(|left| format!(", about {} s to go", left.as_secs().max(1)));
        format!("{} of {}{}: {}", self.done, self.cases, left.unwrap_or_default(), self.name)
    }

    /// Returns how long the rest takes, once there is something to judge by.
    fn left(&self, now: Instant) -> Option<Duration> {
        const ENOUGH: Duration = Duration::from_millis(1500);
        let (spent, Effort { done, whole }) = (now.saturating_duration_since(self.begin), self.effort);
        let left = u32::try_from(whole.saturating_sub(done)).ok()?;
        let done = u32::try_from(done).ok().filter(|&done| done > 0)?;
        (spent >= ENOUGH).then(|| spent * left / done)
    }
}

/// Returns how long `case` takes beside others: orders of magnitude. A bug is found after some steps, a pair of
/// operations is small, and a third CPU multiplies what there is.
fn effort(case: &Case) -> u64 {
    match (case.kind, case.cpus) {
        (Kind::Bug | Kind::Suspect, _) => 1,
        (Kind::Engine, _) if case.groups.contains(&"pairs") => 100,
        (Kind::Engine, 0..=2) => 300,
        (Kind::Engine, _) => 2000,
    }
}

fn in_words(progress: Progress) -> String {
    if progress.states == 0 {
        let left = progress.left.map_or(String::new(), |left| format!(", {} to go", HumanCount(left)));
        return format!("random executions{left}");
    }
    let left = progress.left.map_or(String::new(), |left| format!(", about {} to go", HumanCount(left)));
    format!(
        "{} states, {} to go on from{left}, depth {}, round {}",
        HumanCount(progress.states),
        HumanCount(progress.frontier),
        progress.depth,
        progress.round
    )
}

/// Prints a line every few seconds until what is returned is dropped.
fn beat(state: Arc<Mutex<State>>) -> Sender<()> {
    let (end, ended) = mpsc::channel();
    let lines = move || {
        for pause in pauses() {
            if ended.recv_timeout(pause) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let state = lock(&state).clone();
            tell(format_args!("{}", state.in_words(Instant::now())));
        }
    };
    // Where the host has no thread for it there are no lines, and all else is the same.
    let _ = thread::Builder::new().name("progress".to_owned()).spawn(lines);
    end
}

fn pauses() -> impl Iterator<Item = Duration> {
    (0_u32..).map(|beat| BEAT * 2_u32.saturating_pow(beat.saturating_sub(EARLY_BEATS - 1).min(7)))
}

/// Has a line move by itself, where there is a terminal to show it and a thread to do it: the line asks for that, and
/// panics where this host gives none.
fn tick(line: &ProgressBar) {
    if stderr().is_terminal() && afford(1, "").is_ok() {
        line.enable_steady_tick(Duration::from_millis(100));
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{BEAT, Effort, State, effort, pauses};
    use crate::testing::{bug_case, engine_case};
    use std::time::{Duration, Instant};

    #[test]
    fn what_is_left_is_judged_by_what_is_done() {
        let begin = Instant::now();
        let name = "seed".to_owned();
        let state = State { begin, done: 2, cases: 8, effort: Effort { done: 100, whole: 400 }, name };
        let at = |seconds| state.in_words(begin + Duration::from_secs(seconds));
        assert_eq!(at(10), "2 of 8, about 30 s to go: seed");
        assert_eq!(at(0), "2 of 8: seed", "too early to judge");
    }

    #[test]
    fn more_cpus_take_longer_and_bugs_are_soon_found() {
        let mut three = engine_case("a", 3);
        three.groups = &["three"];
        let efforts = [effort(&bug_case("b")), effort(&engine_case("pair", 2)), effort(&three)];
        assert!(efforts.is_sorted(), "{efforts:?}");
    }

    #[test]
    fn lines_come_every_few_seconds_at_first_and_a_long_run_prints_few() {
        let pauses: Vec<Duration> = pauses().take(12).collect();
        assert!(pauses[..6].iter().all(|pause| *pause == BEAT) && pauses.is_sorted());
        assert!(pauses.iter().sum::<Duration>() > Duration::from_secs(600), "{pauses:?}");
    }
}
