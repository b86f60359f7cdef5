//! The words that CPUs of a modelled kernel share, each on a line of its own.

use crate::machine::model::Word;

/// Gives back the lines of a space.
pub(super) fn forget(space: u32, mask_words: u32) {
    let lines = [generation(space), count(space), gathers(space), members(space)];
    lines.into_iter().chain((0..mask_words).step_by(8).map(|word| mask(space, word))).for_each(Word::forget);
}
/// Identities come from one counter.
pub(super) fn identities() -> Word {
    Word::new(11, 0, 0)
}
pub(super) fn generation(space: u32) -> Word {
    Word::new(1, space, 0)
}
/// Eight words of a mask are on one line.
pub(super) fn mask(space: u32, word: u32) -> Word {
    Word::new(2, space, word / 8)
}
pub(super) fn count(space: u32) -> Word {
    Word::new(3, space, 0)
}
pub(super) fn gathers(space: u32) -> Word {
    Word::new(4, space, 0)
}
pub(super) fn members(space: u32) -> Word {
    Word::new(5, space, 0)
}
pub(super) fn lazy(cpu: u32) -> Word {
    Word::new(6, cpu, 0)
}
pub(super) fn loaded(cpu: u32) -> Word {
    Word::new(7, cpu, 0)
}
pub(super) fn queue(cpu: u32) -> Word {
    Word::new(8, cpu, 0)
}
pub(super) fn request(from: u32) -> Word {
    Word::new(9, from, 0)
}
pub(super) fn answer(from: u32, by: u32) -> Word {
    Word::new(10, from, by + 1)
}
pub(super) fn answers(from: u32) -> Word {
    Word::new(10, from, 0)
}
