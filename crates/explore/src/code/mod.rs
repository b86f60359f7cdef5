//! Code under check: what it asks for, and the stack that it runs on.

pub(crate) mod coroutine;
#[cfg(all(unix, not(miri)))]
pub(crate) mod ending;
#[cfg(not(all(unix, not(miri))))]
#[path = "no_ending.rs"]
pub(crate) mod ending;
pub(crate) mod explored;
pub(crate) mod image;
pub(crate) mod mutation;
pub(crate) mod request;
#[cfg(unix)]
pub(crate) mod stack;
#[cfg(not(unix))]
#[path = "plain_stack.rs"]
pub(crate) mod stack;
pub mod sync;
pub(crate) mod watch;
