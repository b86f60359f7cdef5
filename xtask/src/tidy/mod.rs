//! Reads the sources for what compilers do not look at.

mod bugs;
mod comments;
mod files;
mod orders;
mod read;
mod relaxed;
mod rules;
mod sites;

pub use read::run;
