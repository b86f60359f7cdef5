//! One module for each command.

mod bench;
mod bench_table;
mod boot;
mod check;
mod doctor;
mod explain;
mod list;
mod merge;
mod museum;
mod new_case;
mod policies;
mod record_import;
mod replay;
mod replay_input;
mod replay_trace;
mod shell;
mod welcome;

pub use bench::bench;
pub use boot::boot;
pub use check::check;
pub use doctor::doctor;
pub use explain::explain;
pub use merge::{merge, merge_texts};
pub use new_case::new_case;
pub use record_import::record_import;
pub use replay::replay;
pub use shell::{completions, man};
pub use welcome::welcome;
