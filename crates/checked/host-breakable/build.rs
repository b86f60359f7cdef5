//! Compiles the hosted platform's source anew wherever it changes.
fn main() {
    shootdown_source::follow("../../host/src");
}
