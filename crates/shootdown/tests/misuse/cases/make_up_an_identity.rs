//! SD-12: identities of spaces are never reused: the engine numbers them.

use kernel::*;

fn main() {
    let user = user();
    //= let id = user.id();
    let id = SpaceId(7); //~ E0423
    println!("{id:?}");
}
