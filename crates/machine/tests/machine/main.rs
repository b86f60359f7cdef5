//! What the machine does and what its oracle notices, each by a program of a few steps.

mod code;
mod common;
mod device;
mod faults;
mod hardware_order;
mod options;
mod privilege;
mod rules;
mod second_stage;
mod shared_tlb;
mod software;
