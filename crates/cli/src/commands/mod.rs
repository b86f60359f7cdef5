//! One module for each command. A command whose feature is off answers with the feature's name.

#[cfg(not(feature = "full"))]
mod absent;
#[cfg(feature = "full")]
mod bench;
#[cfg(feature = "full")]
mod bench_grid;
#[cfg(feature = "full")]
mod bench_table;
#[cfg(feature = "full")]
mod boot;
mod check;
#[cfg(feature = "full")]
mod doctor;
mod explain;
mod guide;
mod list;
mod merge;
#[cfg(feature = "full")]
mod museum;
mod mutants;
mod new_case;
#[cfg(feature = "full")]
mod policies;
#[cfg(feature = "full")]
mod record_import;
mod replay;
mod replay_input;
#[cfg(feature = "full")]
mod replay_trace;
#[cfg(feature = "full")]
mod shell;
mod welcome;

#[cfg(not(feature = "full"))]
use absent::museum;
#[cfg(not(feature = "full"))]
pub use absent::refuse;
#[cfg(feature = "full")]
pub use {
    bench::bench,
    boot::boot,
    doctor::doctor,
    record_import::record_import,
    shell::{completions, man},
};

pub use check::check;
pub use explain::explain;
pub use merge::{merge, merge_texts};
pub use new_case::new_case;
pub use replay::replay;
pub use welcome::welcome;
