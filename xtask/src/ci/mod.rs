//! The steps of continuous integration.

mod bare_metal;
mod book;
mod boot;
mod build;
mod dependencies;
mod gates;
mod hosts;
mod images;
mod miri;
mod moved;
mod msrv;
mod outcome;
mod own_case;
mod steps;
mod trampoline;

pub use book::{look as look_at_book, render as render_book};
pub use outcome::Pace;
pub use steps::{Step, run};
