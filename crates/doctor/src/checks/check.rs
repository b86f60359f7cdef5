use crate::plan::Plan;
use crate::world::PlatformUnderTest;
use shootdown::tags::Untagged;
use shootdown_explore::Memory;
use std::any::TypeId;

/// One thing to look at.
pub(crate) struct Check<P: PlatformUnderTest> {
    pub(crate) name: &'static str,
    /// The calls that the platform gets.
    pub(crate) about: &'static str,
    /// The method that is at fault if the check fails.
    pub(crate) method: &'static str,
    /// The line of the contract that it then breaks, as it stands in the engine's source.
    pub(crate) clause: &'static str,
    pub(crate) remedy: &'static str,
    /// Checks without which the answer would mean nothing.
    pub(crate) needs: &'static [&'static str],
    pub(crate) memories: &'static [Memory],
    /// Whether it applies to this platform.
    pub(crate) applies: bool,
    pub(crate) plan: fn() -> Plan<P>,
}

/// Whether the platform's spaces have tags.
pub(crate) fn is_tagged<P: PlatformUnderTest>() -> bool {
    TypeId::of::<P::Tags>() != TypeId::of::<Untagged>()
}

/// Two tags under which the platform's spaces may run; without tags it is one.
pub(crate) fn tags<P: PlatformUnderTest>() -> [u8; 2] {
    if is_tagged::<P>() { [1, 2] } else { [0, 0] }
}
