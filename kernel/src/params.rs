//! What the host asks for: words at a fixed place of memory.

use crate::arch;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// How many CPUs there are.
    pub cpus: usize,
    /// Name of a scenario, `all`, or `count`.
    pub scenario: &'static str,
    /// How long each scenario runs.
    pub seconds: u64,
    /// After how many cycles a scenario ends; 0 for never.
    pub cycles: u64,
    /// Which rule is missing.
    pub broken: Broken,
    /// Whether all CPUs share one host thread, so that each must give way for the others to run.
    pub shared_thread: bool,
}

/// Which rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// None.
    Nothing,
    /// Rule SD-n of the engine.
    Rule(u8),
    /// The kernel's own flush path takes the short cut of Linux commit bafb056ce279.
    SingleUser,
}

/// Size of the place.
const LENGTH: usize = 4096;

/// Reads the parameters: `key=value` words, ended by a zero byte.
///
/// # Panics
/// They are not understood.
pub fn read() -> Params {
    // SAFETY: the host fills this page before the machine starts, and nobody writes to it.
    let bytes = unsafe { core::slice::from_raw_parts(arch::PARAMETERS as *const u8, LENGTH) };
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(LENGTH);
    let text = core::str::from_utf8(&bytes[..end]).expect("parameters are text");
    let mut params = Params {
        cpus: 1,
        scenario: "all",
        seconds: 1,
        cycles: 0,
        broken: Broken::Nothing,
        shared_thread: false,
    };
    for (key, value) in text.split_whitespace().filter_map(|word| word.split_once('=')) {
        let number = || value.parse::<u64>().expect("a number");
        match key {
            "cpus" => params.cpus = number() as usize,
            "scenario" => params.scenario = value,
            "seconds" => params.seconds = number(),
            "cycles" => params.cycles = number(),
            "threads" => params.shared_thread = value == "single",
            "break" => params.broken = broken(value),
            _ => panic!("parameter {key} is not known"),
        }
    }
    assert!((1..=arch::MAX_CPUS).contains(&params.cpus), "{} CPUs", params.cpus);
    params
}

fn broken(value: &str) -> Broken {
    match value.strip_prefix("SD-").and_then(|n| n.parse().ok()) {
        Some(rule) => Broken::Rule(rule),
        None if value == "linux-bafb056c" => Broken::SingleUser,
        None => panic!("rule {value} is not known"),
    }
}
