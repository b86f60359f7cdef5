//! One module for each command.

mod bench;
mod check;
mod explain;
mod list;
mod museum;
mod replay;
mod welcome;

pub use bench::bench;
pub use check::check;
pub use explain::explain;
pub use replay::replay;
pub use welcome::welcome;
