//! The shipped engine on the simulated machine: platform, verbs, and the switches that remove a rule or an ordering.

mod barrier;
mod batch;
mod boot;
mod carry;
mod code;
mod cpu;
mod enter;
mod fault;
mod kernel;
mod modes;
mod nmi;
mod plan;
mod ranges;
mod retired;
mod run;
mod secondary;
mod sim;
mod tags;
mod transport;
mod user_mode;
mod walkers;
mod wires;
mod world;

pub use boot::{Boot, Oracles};
pub use cpu::Cpu;
pub use fault::Fault;
pub use nmi::Nmi;
pub use plan::{Code, Plan, Start};
pub use run::Run;
pub use sim::{History, MakeTags, Sim, TagRoom, TestMachine};
pub use tags::Everywhere;
pub use wires::{OnEntry, Transport};
pub use world::{Page, World};
