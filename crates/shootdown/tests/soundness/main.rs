//! Safe code against a platform that keeps its promises: whatever it does, a space that a CPU has loaded stays in
//! memory. What cannot be refused by the compiler panics with a reason, or leaks. `cargo xtask ci miri` runs this under
//! Miri.

#[path = "../machine/mod.rs"]
mod machine;
mod platform;

#[forbid(unsafe_code)]
mod cpus;
#[forbid(unsafe_code)]
mod engines;
#[forbid(unsafe_code)]
mod handles;
