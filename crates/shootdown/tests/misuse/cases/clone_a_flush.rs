//! SD-8: one completion has one token.

use kernel::*;

fn main() {
    let user = user();
    let pending = ENGINE.send(&user, Scope::All, PageTables::Kept);
    //= let again = ENGINE.send(&user, Scope::All, PageTables::Kept);
    let again = pending.clone(); //~ E0599
    again.finish();
}
