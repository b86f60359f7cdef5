//! SD-12: generations come from flushes.

use kernel::*;

fn main() {
    let user = user();
    //= let generation = user.generation();
    let generation = Generation(7); //~ E0423
    println!("{generation:?}");
}
