//! Selects the cells on which the engine's `sync` module is built.
fn main() {
    println!("cargo::rustc-cfg=shootdown_counted");
    shootdown_source::follow("../../shootdown/src");
}
