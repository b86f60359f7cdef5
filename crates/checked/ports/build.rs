//! Selects the cells on which the engine's `sync` module is built.
fn main() {
    println!("cargo::rustc-cfg=shootdown_explore");
    println!("cargo::rerun-if-changed=build.rs");
}
