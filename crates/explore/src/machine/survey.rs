use std::panic::Location;
use std::sync::atomic::Ordering;

/// What code under check was seen to do. Where a run found something, not all that it might do was seen.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Each step once, in the order of places.
    pub sites: Vec<Site>,
    /// Words that it used and that are part of no object that [`crate::Registry`] knows, by name.
    pub unnamed: Vec<&'static str>,
    /// Names that several words of one object have, which [`crate::Registry::array`] would tell apart.
    pub alike: Vec<&'static str>,
}

/// A step of some execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Site {
    /// Where in the code.
    pub place: &'static Location<'static>,
    /// What it does there.
    pub did: Did,
}

/// What a step does, as far as it can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Did {
    /// A load.
    Load(Ordering),
    /// A store.
    Store(Ordering),
    /// A read-modify-write.
    Modify(Ordering),
    /// A fence.
    Fence(Ordering),
    /// An interrupt is raised.
    Raise {
        /// On which CPU.
        cpu: usize,
        /// Which line.
        line: u8,
    },
    /// An operation of the device.
    Device(u64),
    /// A wait, whose condition was false at least once.
    Wait,
    /// Something else.
    Other,
}
