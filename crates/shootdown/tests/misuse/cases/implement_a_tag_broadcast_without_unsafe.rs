//! SD-12: tags change hands when a broadcast has reached every CPU, which is a promise.

use kernel::*;

pub struct Nothing;

//= unsafe impl TagBroadcast for Nothing {
impl TagBroadcast for Nothing { //~ E0200
    fn flush_all_tags(&self) {}
}

fn main() {}
