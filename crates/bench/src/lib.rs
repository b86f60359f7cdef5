//! The performance bench: what a policy of TLB coherence costs, in counts that do not depend on the host.
//!
//! A [`machine`] of 1 to 4,096 CPUs runs one event at a time. On it run the shipped engine (the package
//! `shootdown-instrumented`: the same source, with cells that report each access) and the policies ([`policy`]) of
//! kernels, written from their descriptions, all under the same workloads ([`workload`]). A staleness check watches
//! every translation, so that a policy cannot win by being wrong.
//!
//! `machine/` has CPUs that are coroutines, MESI lines and TLBs; `policy/` the rows of a table; `host/` times real
//! threads.
pub mod bench;
pub mod commute;
pub mod grid;
#[cfg(target_os = "linux")]
pub mod host;
pub mod losses;
pub mod machine;
pub mod policy;
pub mod probe;
pub mod report;
pub mod trace;
pub mod workload;

/// Hash of the engine's source that this was compiled from.
pub const ENGINE_SOURCE: &str = shootdown_instrumented::SOURCE;
