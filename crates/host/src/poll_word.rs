//! Words of the embedder that say that a virtual CPU must poll.

use crate::sync::{AtomicU32, Ordering};
use std::fmt;
use std::num::NonZero;
use std::sync::Arc;

/// A word that translated code polls, lent by the embedder. The machine sets some of its bits when the CPU must poll.
///
/// Translated code compares a word in a structure of its own, between blocks, and leaves them when it is not zero. Lent
/// by [`MachineBuilder::poll_words`](crate::MachineBuilder::poll_words), that word is all that it has to look at. The
/// code then calls [`Guest::poll`](crate::Guest::poll), which clears the bits. Other bits stay the embedder's.
///
/// # Examples
/// ```
/// use shootdown_host::{MachineBuilder, PollWord, SoftTlb};
/// use std::num::NonZero;
/// use std::sync::Arc;
/// use shootdown_host::sync::{AtomicU32, Ordering::Relaxed};
///
/// struct State {
///     exit: AtomicU32, // bit 0: the embedder's timer; bit 4: look what others want
/// }
/// let state = Arc::new(State { exit: AtomicU32::new(1) });
/// let lent = Arc::clone(&state);
/// let bit = NonZero::new(1 << 4).expect("a bit");
/// let setup = MachineBuilder::new(1)
///     .poll_words(move |_| PollWord::in_part(Arc::clone(&lent), |state: &State| &state.exit).bits(bit));
/// let machine = setup.build()?;
/// let space = machine.new_space(0);
/// let mut cpu = machine.virtual_cpu(0, SoftTlb::<u64>::new(16)).expect("a free CPU");
/// cpu.run(&space, |guest| {
///     machine.call_out(guest.id());
///     assert_eq!(state.exit.load(Relaxed), 1 << 4 | 1); // translated code leaves its block
///     guest.poll();
///     assert_eq!(state.exit.load(Relaxed), 1);
/// });
/// # Ok::<(), shootdown_host::BuildError>(())
/// ```
pub struct PollWord {
    word: Box<dyn Lent>,
    bits: NonZero<u32>,
}

impl PollWord {
    /// Lends a word of its own. Bit 0 is set in it.
    pub fn new(word: Arc<AtomicU32>) -> Self {
        Self::in_part(word, |word: &AtomicU32| word)
    }

    /// Lends the word that `part` finds in a value, the same one every time. Bit 0 is set in it.
    pub fn in_part<T: Send + Sync + 'static>(
        value: Arc<T>,
        part: impl Fn(&T) -> &AtomicU32 + Send + Sync + 'static,
    ) -> Self {
        Self { word: Box::new(Part { value, part }), bits: NonZero::<u32>::MIN }
    }

    /// Has these bits set instead.
    #[must_use]
    pub fn bits(mut self, bits: NonZero<u32>) -> Self {
        self.bits = bits;
        self
    }

    pub(crate) fn raise(&self) {
        // ORDER(SD-6): the call before the word; partner: `clear`.
        self.word.get().fetch_or(self.bits.get(), Ordering::Release);
    }

    pub(crate) fn is_raised(&self) -> bool {
        // ORDER: relaxed; who finds it raised clears it, and that has the order.
        self.word.get().load(Ordering::Relaxed) & self.bits.get() != 0
    }

    pub(crate) fn clear(&self) {
        // ORDER(SD-6): the word before the calls are taken, so that a call whose word is cleared is found; partner: `raise`.
        self.word.get().fetch_and(!self.bits.get(), Ordering::Acquire);
    }
}

impl fmt::Debug for PollWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PollWord").field("word", self.word.get()).field("bits", &self.bits).finish()
    }
}

trait Lent: Send + Sync {
    fn get(&self) -> &AtomicU32;
}

struct Part<T, F> {
    value: Arc<T>,
    part: F,
}

impl<T: Send + Sync, F: Fn(&T) -> &AtomicU32 + Send + Sync> Lent for Part<T, F> {
    fn get(&self) -> &AtomicU32 {
        (self.part)(&self.value)
    }
}
