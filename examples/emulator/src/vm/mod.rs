//! What touches the engine: virtual CPUs, their TLBs, the firmware's remote fences and the thread that moves memory.

mod access;
mod firmware;
mod mover;
mod run;
mod tlbs;
mod vcpu;
mod watch;

use super::host;
use host::shootdown::refs::UserRef;

pub use run::run;

/// What the engine has for a root: there is one table, and it is in `Shared`.
type Root = ();
/// What the engine runs on: threads, and the TLB sanitizer, which is told of everything the engine does.
type Platform = host::Sanitized<Root, watch::Watch>;
type Machine = host::Machine<Root, Platform>;
type Harts<'m> = host::Harts<'m, Platform>;
/// The guest's memory, as an address space of the engine: its addresses are guest-physical.
type Space<'m> = UserRef<'m, Platform>;
