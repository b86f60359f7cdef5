//! Code under check: what it asks for, and the stack that it runs on.

pub(crate) mod coroutine;
pub(crate) mod image;
pub(crate) mod request;
pub mod sync;
