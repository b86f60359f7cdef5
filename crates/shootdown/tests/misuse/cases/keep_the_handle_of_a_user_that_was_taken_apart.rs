//! SD-10: what a user reference was taken apart into is no handle that safe code could drop.

use kernel::*;

fn main() {
    //= let handle = unsafe { user().into_handle().into_inner() };
    let handle = user().into_handle().into_inner(); //~ E0133
    let _: &'static AddressSpace<Kernel> = handle;
}
