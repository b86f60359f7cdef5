//! Compiles the sanitizer's source anew wherever it changes.
fn main() {
    shootdown_source::follow("../../judge/src");
}
