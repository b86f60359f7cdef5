//! Selects the cells on which the engine's `sync` module is built, and keeps the switches that remove a rule, which the
//! shipped engine has as constants.

#[path = "../source.rs"]
mod source;

fn main() {
    println!("cargo::rustc-cfg=shootdown_instrumented");
    println!("cargo::rustc-cfg=shootdown_break");
    source::follow("../../crates/shootdown/src");
}
