//! The shipped engine on the simulated machine: platform, scenarios, and the switches that remove a rule or an ordering.

mod boot;
mod carry;
mod catalog;
mod cpu;
mod fault;
mod kernel;
mod nmi;
mod pairs;
mod ranges;
mod scenarios;
mod sim;
mod tags;
mod transport;
mod world;

pub use boot::{Boot, History};
pub use catalog::{cases, cases_under};
pub use cpu::Cpu;
pub use fault::Fault;
pub use nmi::Nmi;
pub use sim::{MakeTags, TagRoom, TestMachine};
pub use tags::Everywhere;
pub use transport::Transport;
pub use world::{Code, Oracles, Page, Plan, Start, World};
