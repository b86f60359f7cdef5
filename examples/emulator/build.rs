//! Compiles the hosted platform's source anew wherever it changes.

#[path = "../../checks/source.rs"]
mod source;

fn main() {
    source::follow("../../crates/host/src");
}
