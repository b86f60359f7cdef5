//! The shipped engine on the simulated machine: platform, scenarios, and the switches that remove a rule or an ordering.

mod catalog;
mod fault;
mod pairs;
mod scenarios;
mod sim;
mod world;

pub use catalog::cases;
pub use fault::Fault;
pub use sim::Setup;
pub use world::{Code, Cpu, Page, Plan, Start, World};
