//! SD-12: that a CPU holds nothing stale under a tag is a promise.

use kernel::*;

pub struct One;

//= unsafe impl TagPolicy for One {
impl TagPolicy for One { //~ E0200
    type Space = ();
    const ENTRIES_SURVIVE_SWITCH: bool = true;

    fn new_space(&self) {}
    fn assign(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>) -> Assignment {
        Assignment { tag: Tag::new(1), residue: Residue::Current }
    }
    fn on_switch_out(&self, _: TagCpu<'_>, _: TagSpace<'_, ()>, _: Tag, _: u64) {}
    fn flushed(&self, _: TagCpu<'_>) {}
}

fn main() {}
