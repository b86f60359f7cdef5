//! Why a thread could not become a CPU.

use shootdown::{CpuId, EngineError};
use std::fmt;

/// Why a machine could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// No virtual CPUs were asked for.
    NoCpus,
    /// The machine has no room for this many virtual CPUs and helpers (the second number is the most).
    TooManyCpus(u64, usize),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCpus => f.write_str("a machine of 0 virtual CPUs runs nothing; give it at least one"),
            Self::TooManyCpus(asked, most) => {
                write!(f, "{asked} virtual CPUs and helpers do not fit a machine; {most} do")
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// Why a thread could not become a CPU of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AttachError {
    /// The machine has no virtual CPU of that number; it has as many as the second number says.
    NoSuchCpu(CpuId, u32),
    /// Another thread is that CPU, or was and lost the value that stands for it.
    Taken(CpuId),
    /// The calling thread is a CPU already, of this machine or of another.
    ThreadIsCpu(CpuId),
    /// The machine has this many helpers already.
    NoHelperLeft(u32),
    /// The engine refused the CPU.
    EngineError(EngineError),
}

impl fmt::Display for AttachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchCpu(cpu, cpus) => {
                write!(f, "{cpu} is not among the machine's {cpus} virtual CPUs, which are numbered from 0")
            }
            Self::Taken(cpu) => write!(f, "{cpu} is another thread; each number stands for one"),
            Self::ThreadIsCpu(cpu) => {
                write!(f, "this thread is {cpu} already; drop what says so, or use another thread")
            }
            Self::NoHelperLeft(most) => {
                write!(
                    f,
                    "{most} helpers are there already; raise MachineBuilder::helpers, or wait until one is dropped"
                )
            }
            Self::EngineError(refused) => refused.fmt(f),
        }
    }
}

impl std::error::Error for AttachError {}
