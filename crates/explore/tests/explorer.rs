//! The explorer's tests, in one program: the explorer is compiled for each kind of scenario, and most files share theirs.

mod common;

mod devices;
mod interrupts;
mod limits;
mod litmus;
mod machine;
mod modes;
mod names;
mod oracle;
mod random;
mod rc11;
mod tables;
mod watchdog;
mod weak;
mod weak_tables;
