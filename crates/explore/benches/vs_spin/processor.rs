//! Processor time, as Linux tells it; elsewhere nothing is known.

use std::fs::read_to_string;

/// Clock ticks a second, the same on every Linux.
const TICKS: f64 = 100.0;

/// Processor seconds of this thread so far.
pub(crate) fn seconds_here() -> Option<f64> {
    let text = read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// Processor seconds of programs that this one has waited for.
pub(crate) fn seconds_of_children() -> Option<f64> {
    let text = read_to_string("/proc/self/stat").ok()?;
    // Behind the name come the state, and 10 numbers, before those of this program and of its children.
    let numbers = text.rsplit_once(')')?.1.split_whitespace().skip(13).take(2);
    let ticks = numbers.map(str::parse::<f64>).collect::<Result<Vec<_>, _>>().ok()?;
    (ticks.len() == 2).then(|| ticks.iter().sum::<f64>() / TICKS)
}
