//! One module for each command. A command whose feature is off answers with the feature's name.

mod absent;
#[cfg(feature = "bench")]
mod bench;
#[cfg(feature = "bench")]
mod bench_grid;
#[cfg(feature = "bench")]
mod bench_table;
#[cfg(feature = "boot")]
mod boot;
mod check;
#[cfg(feature = "doctor")]
mod doctor;
mod explain;
mod guide;
mod list;
mod merge;
#[cfg(feature = "pages")]
mod museum;
mod mutants;
mod new_case;
#[cfg(feature = "bench")]
mod policies;
#[cfg(feature = "bench")]
mod record_import;
mod replay;
#[cfg(feature = "bench")]
mod replay_input;
#[cfg(feature = "bench")]
mod replay_trace;
#[cfg(feature = "shell")]
mod shell;
mod welcome;

#[cfg(not(feature = "pages"))]
use absent::museum;
#[cfg(not(feature = "bench"))]
use absent::{replay_input, replay_trace};

#[cfg(not(feature = "boot"))]
pub use absent::boot;
#[cfg(not(feature = "doctor"))]
pub use absent::doctor;
#[cfg(not(feature = "bench"))]
pub use absent::{bench, record_import};
#[cfg(not(feature = "shell"))]
pub use absent::{completions, man};
#[cfg(feature = "bench")]
pub use bench::bench;
#[cfg(feature = "boot")]
pub use boot::boot;
pub use check::check;
#[cfg(feature = "doctor")]
pub use doctor::doctor;
pub use explain::explain;
pub use merge::{merge, merge_texts};
pub use new_case::new_case;
#[cfg(feature = "bench")]
pub use record_import::record_import;
pub use replay::replay;
#[cfg(feature = "shell")]
pub use shell::{completions, man};
pub use welcome::welcome;
