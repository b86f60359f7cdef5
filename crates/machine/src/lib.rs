//! What hardware may do with page tables and TLBs, and an oracle that watches it.
//!
//! A [`Machine`] is the [`shootdown_explore::Device`] of a scenario. Page tables are ordinary words in [`Tables`]; TLB
//! and root instructions are the functions of [`hw`]. After every step the machine adds to each CPU's TLB all that
//! hardware could have read by then, so the TLB is the *set* of translations that the CPU may hold, and only a flush
//! takes something out. The oracle then asks whether a CPU can use what was already given away.
//!
//! A model of a kernel's protocol is a [`Program`] in two variants, a [`Sketch`]; [`kit`] has what kernels have in
//! common, and [`main_with`] is the command that checks and explains it. Such a package depends on this crate alone: it
//! is the whole of what an author builds. `shootdown new-case NAME` writes one, and the book's chapter on modelling
//! walks through it.
//!
//! # One package
//! The package is `shootdown-model`: 15 packages with an author's own, where the command with the bugs takes 55. What
//! authors need is in it, instead of a package between the machine and the cases: that would hold the kit,
//! [`objections`] and the drawing, which the cases and the command use as well, so that it would stand between every
//! two of today's packages and save nobody a build. Features keep what costs packages apart: `draw` has the terminal's,
//! `command` a parser of arguments without dependencies. Both are off in the project but for `draw` in the command, and
//! the project calls the package by its centre, `shootdown_machine`. Its page (`explain --html`) is a table without a
//! script; that of the bugs, which can be stepped through, takes more packages than an author's 20 leave room for.

// Files that are an `impl` of the machine alone: absent, dissect, domain, oracle, show, software, uses.
mod absent;
mod case;
mod code;
#[cfg(feature = "command")]
mod command;
mod config;
mod conflict;
mod device;
mod dirty;
mod dissect;
mod domain;
#[cfg(feature = "draw")]
pub mod draw;
pub mod hw;
pub mod kit;
mod leaves;
mod limits;
mod machine;
pub mod objections;
mod oracle;
mod privilege;
mod roots;
mod second_stage;
mod show;
mod sketch;
mod software;
mod sources;
mod state;
mod tables;
pub mod template;
mod uses;
pub mod watchdog;

pub use case::{
    Case, Expected, Kind, Model, Objections, Program, Protocol, ReplayFn, Unreached, Variant, run, run_again,
};
#[cfg(feature = "command")]
pub use command::main_with;
pub use config::{Builder, Combined, HardwareOrder, Translation};
pub use device::{InvalidationQueue, Submitted};
pub use limits::{MAX_CPUS, MAX_PAGES, MAX_TAGS};
pub use machine::{Acknowledged, Hardware, Machine, MaskWord};
/// What models are made of, so that a package of models depends on this crate alone.
#[doc(no_inline)]
pub use shootdown_explore::{Interrupts, Memory, Options, Registry, Scenario, sync};
pub use sketch::{Checked, Sketch, is_kebab_case, name_problem};
pub use sources::{SOURCES, file_name, shows_source};
pub use state::{Local, Privilege, Shared};
pub use tables::{Tables, space_name};
