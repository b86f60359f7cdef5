//! Keeps the switches that remove a rule, which the shipped engine has as constants.
fn main() {
    println!("cargo::rustc-cfg=shootdown_break");
    shootdown_source::follow("../../shootdown/src");
}
