//! The shipped engine on the simulated machine: platform, verbs, and the switches that remove a rule or an ordering.

pub(crate) mod boot;
mod carry;
pub(crate) mod cpu;
pub(crate) mod fault;
mod kernel;
pub(crate) mod nmi;
mod ranges;
pub(crate) mod sim;
pub(crate) mod tags;
pub(crate) mod transport;
pub(crate) mod world;

pub use boot::{Boot, History};
pub use cpu::Cpu;
pub use fault::Fault;
pub use nmi::Nmi;
pub use sim::{MakeTags, TagRoom, TestMachine};
pub use tags::Everywhere;
pub use transport::Transport;
pub use world::{Code, Oracles, Page, Plan, Start, World};
