//! What the doctor looks at, one line of the contract at a time, each check resting on those before it.

mod check;
mod hardware;
mod protocol;
mod secondary;
mod single;

use crate::world::PlatformUnderTest;

pub(crate) use check::{Check, LEAVES_OFF};

/// All checks, in their order.
pub(crate) fn all<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let mut checks = single::checks();
    checks.push(secondary::answers());
    let (nobody, contexts) = (protocol::nobody(), single::contexts());
    checks.extend(if P::SECONDARY_TLBS { [contexts, nobody] } else { [nobody, contexts] });
    checks.extend(hardware::checks());
    checks.extend(protocol::checks());
    checks.extend(secondary::flushes());
    checks
}
