//! Events as records, for the back ends.

use core::fmt;
use shootdown::CpuId;
use shootdown::trace::Event;

/// The target of the records, for log and tracing.
pub const TARGET: &str = "shootdown";

/// An event of the engine, taken apart: CPU, name, and the numbers that go with it.
///
/// ```
/// use shootdown::trace::Event;
/// use shootdown::{CpuId, SpaceId};
/// use shootdown_integrations::Record;
///
/// let record = Record::new(CpuId::new(1), Event::Switched(SpaceId::new(7)));
/// assert_eq!(record.to_string(), "CPU 1 switched space=7");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// The CPU on which it happened.
    pub cpu: CpuId,
    /// The event in one word; the same in every version.
    pub name: &'static str,
    /// Number of the space, where there is one.
    pub space: Option<u64>,
    /// Generation, where there is one.
    pub generation: Option<u64>,
    /// Number of the CPU to which an IPI was sent, if one was.
    pub target: Option<u32>,
}

impl Record {
    /// Takes an event of `cpu`'s apart.
    pub fn new(cpu: CpuId, event: Event) -> Self {
        let record = |name| Self { cpu, name, space: None, generation: None, target: None };
        match event {
            Event::Switched(space) => Self { space: Some(space.number()), ..record("switched") },
            Event::WentLazy => record("went-lazy"),
            Event::Left(space) => Self { space: Some(space.number()), ..record("left") },
            Event::Announced(space, generation) => Self {
                space: space.map(shootdown::SpaceId::number),
                generation: Some(generation.number()),
                ..record("announced")
            },
            Event::IpiSent(target) => Self { target: Some(target.number()), ..record("ipi sent") },
            Event::IpiHandled => record("ipi handled"),
            Event::CaughtUp(space, generation) => Self {
                space: Some(space.number()),
                generation: Some(generation.number()),
                ..record("caught-up")
            },
            Event::RootFreed(space) => Self { space: Some(space.number()), ..record("root-freed") },
            Event::Online => record("online"),
            Event::Offline => record("offline"),
            // An event of a later engine, which this crate does not know yet.
            _ => record("other"),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.cpu, self.name)?;
        if let Some(space) = self.space {
            write!(f, " space={space}")?;
        }
        if let Some(generation) = self.generation {
            write!(f, " generation={generation}")?;
        }
        if let Some(target) = self.target {
            write!(f, " target={target}")?;
        }
        Ok(())
    }
}
