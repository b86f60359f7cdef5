//! SD-5: a root is loaded by a switch, which enters the mask first.

use kernel::*;

fn main() {
    //= unsafe { ENGINE.platform().install(None, Tag::NONE, OnInstall::Flush) };
    ENGINE.platform().install(None, Tag::NONE, OnInstall::Flush); //~ E0133
}
