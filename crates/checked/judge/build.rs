//! Selects the cells on which the sanitizer's `sync` module is built.
fn main() {
    println!("cargo::rustc-cfg=shootdown_explore");
    shootdown_source::follow("../../judge/src");
}
