//! Steps that run at once.

use crate::machine::{Machine, Moved};
use crate::report::Move;
use crate::scenario::Scenario;
use crate::state::Work;

impl<S: Scenario> Machine<'_, '_, S> {
    /// Makes `mov` and whatever runs at once after it.
    pub(crate) fn successor(&mut self, work: &mut Work<S::Device>, mov: Move) -> Moved {
        if !self.apply(work, mov)? {
            return Ok(false);
        }
        self.normalise(work)?;
        Ok(true)
    }

    /// Makes all steps that may run at once.
    pub(crate) fn normalise(&mut self, _work: &mut Work<S::Device>) -> Moved {
        Ok(true)
    }
}
