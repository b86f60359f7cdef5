//! Native runs: how long a flush takes on this host, with threads as CPUs, beside the ways a program has today.
//!
//! Each thread stays on a CPU of its own. Each way takes turns with the engine, in pairs that begin with the one and
//! the other; what is given is the median over pairs, and the quartiles. Where the host has too few CPUs or other work
//! the times are given with [`Timings::doubt`]: they are no evidence.

mod engine;
mod grace;
mod pin;
mod rivals;
mod way;

use rivals::Threads;
use serde::Serialize;
use std::time::Instant;
use way::Way;

/// Flushes of one way in one turn.
const BATCH: u32 = 50;
/// Load of the host, in threads, beyond which times say little.
const MOST_LOAD: f64 = 0.5;

/// Median and quartiles.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// A quarter of the values are below.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// A quarter of the values are above.
    pub high: f64,
}

/// How long a way took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The way.
    pub way: &'static str,
    /// Nanoseconds of one flush.
    pub nanoseconds: Spread,
    /// Time of this way over that of the engine in the same pair.
    pub over_engine: Spread,
}

/// What was timed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timings {
    /// Why the times are no evidence, if they are not.
    pub doubt: Option<String>,
    /// The engine, then the other ways.
    pub timings: Vec<Timing>,
}

/// Returns how many threads [`host`] starts: all ways have theirs, and those of one run at a time.
pub fn threads(sharers: usize) -> usize {
    5 * sharers
}

/// Times each way with `sharers` other threads, in `rounds` pairs.
///
/// # Errors
/// What this host does not let a program do.
pub fn host(sharers: usize, rounds: usize) -> std::io::Result<Timings> {
    let cpus = pin::allowed()?;
    let doubt = doubt(sharers + 1, cpus.len(), load());
    let timed = time(sharers, rounds.max(1), &cpus[..1]);
    pin::pin(&cpus)?;
    timed.map(|timings| Timings { doubt, timings })
}

/// Why times of so many threads on so many CPUs would be no evidence.
fn doubt(threads: usize, cpus: usize, load: Option<f64>) -> Option<String> {
    if threads > cpus {
        return Some(format!("{threads} threads take turns on {cpus} CPUs"));
    }
    let load = load.filter(|load| *load > MOST_LOAD)?;
    Some(format!("other programs run: the load was {load:.1} before it began"))
}

/// Threads that ran on this host in the last minute.
fn load() -> Option<f64> {
    std::fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

fn time(sharers: usize, rounds: usize, mine: &[usize]) -> std::io::Result<Vec<Timing>> {
    let (mut engine, its) = engine::engine(sharers);
    let (others, kernels) = rivals::rivals(sharers)?;
    let (broadcast, broadcasts) = rivals::broadcast(sharers);
    let mut groups = vec![(vec![broadcast], broadcasts), (others, kernels)];
    groups.extend([grace::epoch(sharers), grace::seize(sharers)].map(|(way, threads)| (vec![way], threads)));
    // Last, as threads begin where their maker may run.
    pin::pin(mine)?;
    let (mut all, mut timings) = (Vec::new(), Vec::new());
    let ways = groups.iter_mut().flat_map(|(ways, threads)| ways.iter_mut().map(|way| (way, &*threads)));
    for (way, threads) in ways {
        let (mut own, mut ratios) = (Vec::new(), Vec::new());
        for round in 0..rounds {
            let mut times = [0.0; 2];
            for turn in [round % 2, 1 - round % 2] {
                times[turn] = match turn {
                    0 => batch(engine.as_mut(), &its),
                    _ => batch(way.as_mut(), threads),
                };
            }
            let [engines, others] = times;
            all.push(engines);
            own.push(others);
            ratios.push(others / engines);
        }
        timings.push(Timing { way: way.name(), nanoseconds: spread(own), over_engine: spread(ratios) });
    }
    groups.into_iter().map(|(_, threads)| threads).chain([its]).for_each(Threads::stop);
    let same = Spread { low: 1.0, median: 1.0, high: 1.0 };
    timings.insert(0, Timing { way: engine.name(), nanoseconds: spread(all), over_engine: same });
    Ok(timings)
}

/// Nanoseconds of one flush, while the threads of this way alone are awake.
fn batch(way: &mut dyn Way, threads: &Threads) -> f64 {
    threads.wake();
    let start = Instant::now();
    for _ in 0..BATCH {
        way.flush();
    }
    let nanoseconds = start.elapsed().as_nanos() as f64 / f64::from(BATCH);
    threads.rest();
    nanoseconds
}

fn spread(mut values: Vec<f64>) -> Spread {
    values.sort_by(f64::total_cmp);
    let at = |quarter: usize| values[(values.len() - 1) * quarter / 4];
    Spread { low: at(1), median: at(2), high: at(3) }
}

#[cfg(test)]
mod tests {
    use super::{Spread, doubt, host, spread};

    #[test]
    fn every_way_comes_to_an_end_and_the_engine_is_its_own_measure() {
        let timings = host(1, 2).expect("a host that can").timings;
        let names: Vec<&str> = timings.iter().map(|timing| timing.way).collect();
        let expected =
            ["engine", "mutex-broadcast", "membarrier", "mprotect", "signal", "crossbeam-epoch", "seize"];
        assert_eq!(names, expected);
        assert!((timings[0].over_engine.median - 1.0).abs() < f64::EPSILON);
        assert!(timings.iter().all(|timing| timing.nanoseconds.low > 0.0));
    }

    #[test]
    fn a_host_that_is_busy_or_small_gives_no_evidence() {
        assert_eq!(doubt(2, 2, Some(0.1)), None);
        assert_eq!(doubt(2, 4, None), None);
        assert!(
            doubt(3, 2, Some(0.0)).is_some_and(|why| why.contains("3 threads") && why.contains("2 CPUs"))
        );
        assert!(doubt(2, 4, Some(1.7)).is_some_and(|why| why.contains("1.7")));
    }

    #[test]
    fn a_spread_is_the_median_and_the_quartiles() {
        let found = spread(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(found, Spread { low: 2.0, median: 3.0, high: 4.0 });
    }
}
