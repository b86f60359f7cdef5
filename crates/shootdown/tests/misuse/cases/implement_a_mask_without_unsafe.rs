//! SD-1: that a mask always consists of the same words is a promise.

use kernel::*;

pub struct Words([MaskWord; 1]);

//= unsafe impl MaskStore for Words {
impl MaskStore for Words { //~ E0200
    fn words(&self) -> &[MaskWord] {
        &self.0
    }
}

fn main() {}
