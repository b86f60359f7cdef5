//! One module for each command.

mod bench;
mod boot;
mod check;
mod explain;
mod list;
mod museum;
mod new_case;
mod replay;
mod welcome;

pub use bench::bench;
pub use boot::boot;
pub use check::check;
pub use explain::explain;
pub use new_case::new_case;
pub use replay::replay;
pub use welcome::welcome;
