//! Native runs: how long a flush takes on this host, with threads as CPUs, beside the ways a program has today.
//!
//! Times differ from run to run; ratios within one run say more. All ways take turns, round by round, and what is given is
//! the median over rounds.

mod engine;
mod rivals;
mod way;

use serde::Serialize;
use std::time::Instant;
use way::Way;

/// Flushes of one way in one round.
const BATCH: u32 = 200;

/// How long a way took.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// The way.
    pub way: &'static str,
    /// Nanoseconds of one flush, the median over rounds.
    pub nanoseconds: f64,
    /// Time of this way over that of the engine in the same round, the median over rounds.
    pub over_engine: f64,
}

/// Returns how many threads [`host`] starts: all ways have theirs, and those of one run at a time.
pub fn threads(sharers: usize) -> usize {
    const GROUPS: usize = 3;
    GROUPS * sharers
}

/// Times each way with `sharers` other threads, in `rounds` rounds.
///
/// # Errors
/// What this host does not let a program do.
pub fn host(sharers: usize, rounds: usize) -> std::io::Result<Vec<Timing>> {
    let (engine, its) = engine::engine(sharers);
    let (broadcast, broadcasts) = rivals::broadcast(sharers);
    let (others, kernels) = rivals::rivals(sharers)?;
    let threads = [its, broadcasts, kernels];
    let mut ways = vec![(engine, 0), (broadcast, 1)];
    ways.extend(others.into_iter().map(|way| (way, 2)));
    let mut times = vec![Vec::with_capacity(rounds); ways.len()];
    for _ in 0..rounds.max(1) {
        for ((way, group), times) in ways.iter_mut().zip(&mut times) {
            // The threads of the other ways sleep.
            threads[*group].wake();
            let start = Instant::now();
            for _ in 0..BATCH {
                way.flush();
            }
            times.push(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
            threads[*group].rest();
        }
    }
    threads.into_iter().for_each(rivals::Threads::stop);
    let engine = times[0].clone();
    let timing = |((way, _), times): (&(Box<dyn Way>, usize), &Vec<f64>)| Timing {
        way: way.name(),
        nanoseconds: median(times.clone()),
        over_engine: median(times.iter().zip(&engine).map(|(time, engine)| time / engine).collect()),
    };
    Ok(ways.iter().zip(&times).map(timing).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn every_way_comes_to_an_end_and_the_engine_is_its_own_measure() {
        let timings = host(1, 2).expect("a host that can");
        let names: Vec<&str> = timings.iter().map(|timing| timing.way).collect();
        assert_eq!(names, ["engine", "mutex-broadcast", "membarrier", "mprotect", "signal"]);
        assert!((timings[0].over_engine - 1.0).abs() < f64::EPSILON);
        assert!(timings.iter().all(|timing| timing.nanoseconds > 0.0));
    }
}
