//! How long a machine has run, by what this host let it do.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// Time that counts at most between two looks: after a longer gap this program was stopped, and the machine perhaps
/// with it.
const GAP: Duration = Duration::from_secs(1);
/// Linux counts time of CPUs in hundredths of a second, for programs.
const TICK: Duration = Duration::from_millis(10);

/// Adds up the time for which a process ran, or had nothing to do. A host that stops the process, or is busy with
/// others, adds nothing: so a machine that is kept from running is not taken for one that hangs, and one that spins is.
#[derive(Debug)]
pub struct OwnTime {
    process: u32,
    looked: Instant,
    threads: BTreeMap<u32, Thread>,
    /// Own time since the last report.
    silent: Duration,
    /// When the last report came.
    reported: Instant,
}

/// What a thread of the process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Thread {
    /// As /proc has it: R runs or wants to, S sleeps, T is stopped.
    state: char,
    /// Time on a CPU.
    ran: Duration,
}

impl OwnTime {
    /// Begins with a process that has just started.
    pub fn of(process: u32) -> Self {
        let now = Instant::now();
        Self { process, looked: now, threads: threads(process), silent: Duration::ZERO, reported: now }
    }

    /// Begins anew, since the machine has reported something.
    pub fn report(&mut self) {
        self.look();
        (self.silent, self.reported) = (Duration::ZERO, self.looked);
    }

    /// Own time since the last report.
    pub fn silent(&mut self) -> Duration {
        self.look();
        self.silent
    }

    /// All time since the last report.
    pub fn waited(&self) -> Duration {
        self.reported.elapsed()
    }

    fn look(&mut self) {
        let (now, threads) = (Instant::now(), threads(self.process));
        self.silent += counted(now - self.looked, &self.threads, &threads);
        (self.looked, self.threads) = (now, threads);
    }
}

/// How much of `passed` counts, by what the threads did.
fn counted(passed: Duration, before: &BTreeMap<u32, Thread>, now: &BTreeMap<u32, Thread>) -> Duration {
    let passed = passed.min(GAP);
    if now.values().any(|thread| matches!(thread.state, 'T' | 't')) {
        return Duration::ZERO;
    }
    // Nothing is known where there is no /proc.
    if now.values().all(|thread| thread.state == 'S') {
        return passed;
    }
    let ran = |(id, thread): (&u32, &Thread)| {
        thread.ran.saturating_sub(before.get(id).map_or(Duration::ZERO, |before| before.ran))
    };
    now.iter().map(ran).max().unwrap_or_default().min(passed)
}

/// The threads of a process; none where this system does not say.
fn threads(process: u32) -> BTreeMap<u32, Thread> {
    let folder = Path::new("/proc").join(process.to_string()).join("task");
    let entries = folder.read_dir().into_iter().flatten().flatten();
    let thread = |entry: std::fs::DirEntry| {
        let text = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        Some((entry.file_name().to_str()?.parse().ok()?, Thread::parse(&text)?))
    };
    entries.filter_map(thread).collect()
}

impl Thread {
    /// Reads a line of /proc: the name of the program may hold anything, and ends with the last bracket.
    fn parse(stat: &str) -> Option<Self> {
        let mut words = stat.rsplit_once(')')?.1.split_whitespace();
        let state = words.next()?.chars().next()?;
        let mut ticks = words.skip(10).map_while(|word| word.parse::<u32>().ok());
        let (user, system) = (ticks.next()?, ticks.next()?);
        Some(Self { state, ran: TICK * user.saturating_add(system) })
    }
}

#[cfg(test)]
mod tests {
    use super::{GAP, OwnTime, TICK, Thread, counted};
    use std::collections::BTreeMap;
    use std::time::Duration;

    const PASSED: Duration = Duration::from_millis(100);

    fn count(before: [(char, u32); 2], now: [(char, u32); 2]) -> Duration {
        let threads = |threads: [(char, u32); 2]| -> BTreeMap<u32, Thread> {
            let thread = |(state, ticks)| Thread { state, ran: TICK * ticks };
            (1..).zip(threads.map(thread)).collect()
        };
        counted(PASSED, &threads(before), &threads(now))
    }

    #[test]
    fn a_machine_that_runs_or_has_nothing_to_do_spends_time() {
        assert_eq!(count([('R', 5), ('S', 1)], [('R', 15), ('S', 1)]), PASSED, "spins");
        assert_eq!(count([('S', 5), ('S', 1)], [('S', 5), ('S', 1)]), PASSED, "waits for an interrupt");
    }

    #[test]
    fn a_machine_that_is_kept_from_running_spends_none() {
        assert_eq!(count([('R', 5), ('S', 1)], [('R', 5), ('S', 1)]), Duration::ZERO, "others have the CPUs");
        assert_eq!(count([('R', 5), ('S', 1)], [('R', 7), ('S', 1)]), TICK * 2, "others have most of them");
        assert_eq!(count([('T', 5), ('T', 1)], [('T', 5), ('T', 1)]), Duration::ZERO, "stopped");
        assert_eq!(count([('D', 5), ('S', 1)], [('D', 5), ('S', 1)]), Duration::ZERO, "waits for a disk");
    }

    #[test]
    fn what_passes_while_nobody_looks_hardly_counts() {
        let threads = BTreeMap::from([(1, Thread { state: 'S', ran: Duration::ZERO })]);
        assert_eq!(counted(Duration::from_secs(500), &threads, &threads), GAP);
    }

    #[test]
    fn threads_are_read_as_linux_writes_them() {
        let line = "7 (a) R) b) S 1 7 7 0 -1 4194304 104 0 0 0 12 30 0 0 20 0 1 0 81501 3133440";
        assert_eq!(Thread::parse(line), Some(Thread { state: 'S', ran: TICK * 42 }));
        assert_eq!(Thread::parse("7 (a"), None);
        if cfg!(target_os = "linux") {
            assert!(!OwnTime::of(std::process::id()).threads.is_empty());
        }
    }
}
