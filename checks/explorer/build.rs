//! Selects the cells on which the engine's `sync` module is built.

#[path = "../source.rs"]
mod source;

fn main() {
    println!("cargo::rustc-cfg=shootdown_explore");
    source::follow("../../crates/shootdown/src");
}
