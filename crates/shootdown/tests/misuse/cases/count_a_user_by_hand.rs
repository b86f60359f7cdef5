//! SD-9: counts of references change with references.

use kernel::*;

fn main() {
    let user = user();
    //= let count = user.users();
    let count = &user.users; //~ E0616
    println!("{count:?}");
}
