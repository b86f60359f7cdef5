//! Prints the comparison.

fn main() {
    print!("{}", shootdown_bench::explore_vs_loom());
}
