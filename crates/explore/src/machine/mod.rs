//! The machine that code under check runs on: what is known of the program, and what one move does to a state.

pub(crate) mod cells;
pub(crate) mod device;
pub(crate) mod dissection;
pub(crate) mod footprint;
pub(crate) mod hash;
pub(crate) mod layout;
pub(crate) mod merge;
pub(crate) mod moves;
pub(crate) mod node;
pub(crate) mod op;
pub(crate) mod program;
pub(crate) mod reduce;
pub(crate) mod registry;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod scenario;
pub(crate) mod state;
pub(crate) mod step;
pub(crate) mod survey;
pub(crate) mod symmetry;
pub(crate) mod values;
pub(crate) mod violation;
pub(crate) mod weak;
pub(crate) mod words;
pub(crate) mod world;
