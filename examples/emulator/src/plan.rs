//! A run as it is asked for, and what came of it.

use crate::findings::Unfenced;
use crate::image::Image;
use crate::shared::End;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Seconds beyond the plan's after which the host itself is taken to hang.
const GRACE: u64 = 20;

/// A run as it is asked for.
pub struct Plan {
    /// The guest.
    pub image: Image,
    /// How many virtual CPUs.
    pub cpus: u32,
    /// Most instructions of a hart.
    pub steps: u64,
    /// Most seconds.
    pub seconds: u64,
    /// Whether the host moves memory, and which seed decides which.
    pub moves: Option<u64>,
    /// The rule that is removed.
    pub dropped: Option<u8>,
    /// Whether remote fences of the guest are carried out.
    pub fencing: bool,
}

/// What came of it.
pub struct Report {
    /// Why it ended.
    pub end: End,
    /// What was given back too early, as the emulator's check of the engine's platform noticed it.
    pub early: Option<String>,
    /// Fences that the guest has forgotten.
    pub unfenced: Vec<Unfenced>,
    /// Counts.
    pub totals: Totals,
}

/// Counts of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    /// Instructions.
    pub steps: u64,
    /// Pages that the host has moved.
    pub moved: u64,
    /// Remote fences of the guest.
    pub fences: u64,
    /// Flushes of the engine.
    pub flushes: u64,
    /// IPIs sent.
    pub ipis: u64,
    /// Members of a mask that needed none: outside guest code, or up to date.
    pub skipped: u64,
    /// Flushes of some pages instead of all.
    pub selective: u64,
}

/// How the program exits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Guest and host did well.
    Good = 0,
    /// The host let a CPU use what it must not.
    Incoherent = 1,
    /// The guest failed, and the host did well.
    GuestFailed = 3,
}

impl Report {
    /// How it went.
    pub fn verdict(&self) -> Verdict {
        match self.end {
            End::Found(_) => Verdict::Incoherent,
            _ if self.early.is_some() => Verdict::Incoherent,
            End::Shutdown | End::AllOff => Verdict::Good,
            End::Failed | End::Trap { .. } | End::Steps { .. } | End::Seconds => Verdict::GuestFailed,
        }
    }

    /// What to tell.
    pub fn text(&self, plan: &Plan) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = writeln!(text, "ended: {}", self.end_text(plan));
        for use_ in &self.unfenced {
            let _ = writeln!(text, "guest's own: {use_}");
        }
        let Totals { steps, moved, fences, flushes, ipis, skipped, selective } = self.totals;
        let _ = writeln!(
            text,
            "host: {} CPUs, {steps} instructions, {moved} pages moved under them, {fences} remote \
             fences\nengine: {flushes} flushes, {ipis} IPIs, {skipped} CPUs passed over, {selective} \
             flushes by range",
            plan.cpus
        );
        if let Some(rule) = plan.dropped {
            let missed = match self.verdict() {
                Verdict::Incoherent => "",
                _ => ", and this guest did not show it; `migrate` shows SD-1, SD-3, SD-4, SD-5 and SD-9",
            };
            let _ = writeln!(text, "engine: rule SD-{rule} is removed{missed}");
        }
        if !plan.fencing {
            let _ = writeln!(text, "host: remote fences were answered and not carried out");
        }
        if let Some(early) = &self.early {
            let _ = writeln!(text, "watch: {early}");
        }
        let _ = match (self.verdict(), self.end) {
            (_, End::Found(finding)) => writeln!(text, "verdict: INCOHERENT: {finding}"),
            (Verdict::Incoherent, _) => {
                writeln!(
                    text,
                    "verdict: INCOHERENT: a CPU could use what was somebody else's, and did not by luck"
                )
            }
            (Verdict::GuestFailed, _) => {
                writeln!(
                    text,
                    "verdict: the guest failed by its own doing; no CPU used what was somebody else's"
                )
            }
            _ => writeln!(text, "verdict: coherent: no CPU used what was somebody else's"),
        };
        text
    }

    fn end_text(&self, plan: &Plan) -> String {
        match self.end {
            End::Shutdown => "the guest shut the machine down".into(),
            End::Failed => "the guest shut the machine down and says that it failed".into(),
            End::AllOff => "all harts have stopped".into(),
            End::Trap { hart, pc, trap } => {
                let (cause, value) = (trap.cause, trap.value);
                format!("hart {hart} at {pc:#x}: {cause}, value {value:#x}, and the guest has no handler")
            }
            End::Steps { hart, pc } => {
                format!("hart {hart} at {pc:#x} has used up its {} instructions (--steps)", plan.steps)
            }
            End::Seconds => format!("time is up after {} s (--seconds)", plan.seconds),
            End::Found(_) => "the emulator's check stopped the machine".into(),
        }
    }
}

/// Ends the process if the machine does not end by itself: an engine from which a rule was removed may wait for ever.
pub struct Watchdog {
    called_off: Arc<AtomicBool>,
    thread: std::thread::Thread,
}

impl Watchdog {
    /// Starts watching.
    pub fn start(plan: &Plan) -> Self {
        let called_off = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&called_off);
        let deadline = std::time::Instant::now() + Duration::from_secs(plan.seconds + GRACE);
        let dropped = plan.dropped;
        let thread = std::thread::spawn(move || {
            while !seen.load(Ordering::Relaxed) {
                let left = deadline.saturating_duration_since(std::time::Instant::now());
                if left.is_zero() {
                    let rule =
                        dropped.map(|rule| format!(" (rule SD-{rule} is removed)")).unwrap_or_default();
                    println!("verdict: HUNG: a CPU waits for another for ever{rule}");
                    std::process::exit(Verdict::Incoherent as i32);
                }
                std::thread::park_timeout(left);
            }
        });
        Self { called_off, thread: thread.thread().clone() }
    }

    /// Stops watching.
    pub fn call_off(&self) {
        self.called_off.store(true, Ordering::Relaxed);
        self.thread.unpark();
    }
}
