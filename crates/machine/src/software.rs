//! Accesses that go past the TLB: software that walks page tables by itself and uses what it finds.
//!
//! A walk itself is loads of [`crate::Tables`]' words; the memory of a freed table is watched with
//! [`shootdown_explore::sync::retire`]. Checked here is the use of the frame at the end of a walk.

use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::Shared;
use crate::tables::space_name;
use shootdown_explore::{Broken, Violation};

impl Machine {
    /// Judges the use of `value` for `space`, as [`crate::hw::access`] says.
    pub(crate) fn access(
        &self,
        shared: &Shared,
        cpu: usize,
        space: usize,
        value: usize,
    ) -> Result<(), Violation> {
        let set = 1u16 << value;
        if set & shared.dead_values != 0 {
            return Err(self.dead_value(shared, set, &format!("CPU {cpu} uses")).into());
        }
        if set & self.foreign[space] != 0 {
            let meant = self.config.translations[value - 1];
            let owner = meant.space.map_or('?', space_name);
            let name = space_name(space);
            let what = format!("CPU {cpu} uses frame {} of space {owner} for space {name}", meant.frame);
            return Err(Broken { frame: Some(meant.frame), ..broken(12, what) }.into());
        }
        Ok(())
    }
}
