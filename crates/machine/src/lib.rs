//! What hardware may do with page tables and TLBs, and an oracle that watches it.
//!
//! A [`Machine`] is the [`shootdown_explore::Device`] of a scenario. Page tables are ordinary words in [`Tables`]; TLB
//! and root instructions are the functions of [`hw`]. After every step the machine adds to each CPU's TLB all that
//! hardware could have read by then, so the TLB is the *set* of translations that the CPU may hold, and only a flush
//! takes something out. The oracle then checks whether a CPU can use what was already freed.
//!
//! A model of a kernel's protocol is a [`Program`] in two variants, a [`Sketch`]; [`kit`] has what kernels have in
//! common, and [`main_with`] is the command that checks and explains it. Such a package depends on this crate alone, so
//! an author builds nothing else. `shootdown new-case NAME` writes one, and the book's chapter on modelling walks
//! through it.
//!
//! # One package
//! The package is `shootdown-model`. An author's package builds 15 packages in all; the command with the bugs
//! builds 55. The kit, [`objections`] and the drawing are in this package and not in one of their own, since the
//! cases and the command use them too: a package between would save no build. Two features keep dependencies apart:
//! `draw` has those of the terminal, `command` has a parser of arguments without dependencies. In this project only
//! the command turns on `draw`; the project refers to the package as `shootdown_machine`. The page of an author's
//! case (`explain --html`) is a table without a script. The page of a bug, which a reader can step through, takes
//! more packages than an author's limit of 20 leaves room for.

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
