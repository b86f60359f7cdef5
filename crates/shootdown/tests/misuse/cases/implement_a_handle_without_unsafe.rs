//! SD-10: that a space stays in place while a handle exists is a promise.

use kernel::*;

#[derive(Clone)]
pub struct Handle(&'static AddressSpace<Kernel>);

//= unsafe impl SpaceHandle<Kernel> for Handle {
impl SpaceHandle<Kernel> for Handle { //~ E0200
    fn space(&self) -> &AddressSpace<Kernel> {
        self.0
    }
}

fn main() {}
