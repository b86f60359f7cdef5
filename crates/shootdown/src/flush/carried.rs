//! A flush that was sent as a number, for the explorer. Its CPUs share no stack, so a thread that is moved to another
//! CPU between sending and waiting carries the number over.

use super::{Flight, Pending};
use crate::engine::Shootdown;
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::types::{CpuId, FlushRequest};

const NOBODY: u64 = 0;
const SPACE: u64 = 1;
const SPACE_TABLES: u64 = 2;
const KERNEL: u64 = 3;

impl<P: Platform> Pending<'_, P> {
    /// Takes it apart without waiting. Bits 0..2 say what memory it flushes, 2..16 which CPU sent it, 16..40 are the
    /// generation, and the position of secondary TLBs is above. The pages that it covers no longer matter.
    pub fn into_word(self) -> u64 {
        let carried = self.flight.as_ref().map_or(NOBODY, |flight| {
            let kind = match (flight.space, flight.request.frees_tables()) {
                (None, _) => KERNEL,
                (Some(_), true) => SPACE_TABLES,
                (Some(_), false) => SPACE,
            };
            flight.position() << 40 | flight.generation << 16 | u64::from(flight.sender.number()) << 2 | kind
        });
        core::mem::forget(self);
        carried
    }
}

impl<P: Platform> Shootdown<P> {
    /// Puts together what [`Pending::into_word`] took apart; `space` is the space that was flushed, if the flush was of
    /// a space.
    pub fn pending_from_word<'a>(&'a self, space: &'a AddressSpace<P>, word: u64) -> Pending<'a, P> {
        let (generation, sender) = (word >> 16 & 0xff_ffff, CpuId::new((word >> 2) as u32 & 0x3fff));
        let flight = |space, request: FlushRequest| {
            let request = if P::SECONDARY_TLBS { request.with_position(word >> 40) } else { request };
            Some(Flight { engine: self, space, generation, request, sender })
        };
        let flight = match word & 3 {
            SPACE => flight(Some(space), FlushRequest::all()),
            SPACE_TABLES => flight(Some(space), FlushRequest::all().tables_freed()),
            KERNEL => flight(None, FlushRequest::all()),
            _ => None,
        };
        Pending { flight }
    }
}
