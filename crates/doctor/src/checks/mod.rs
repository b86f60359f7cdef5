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
    checks.push(protocol::nobody());
    checks.push(single::contexts());
    checks.extend(hardware::checks());
    checks.extend(protocol::checks());
    checks.extend(secondary::flushes());
    checks
}
