use shootdown_explore::Memory;
use shootdown_machine::{Expected, Protocol, Variant, objections};

/// A protocol of a bug, one of a chain: what upstream had, change by change. The chain of most bugs is `broken` and
/// `fixed`, which [`Bug::build`](super::Bug::build) makes; a longer one names those two among others: an older
/// protocol, whose fix brought the bug, a fix that was itself wrong, or one that was changed later.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What its case is called, behind the bug's name and a slash.
    pub name: &'static str,
    /// The upstream change that made it of the one before: commit and title. Empty for the first, and for `fixed`, of
    /// which the bug's header says it.
    pub change: &'static str,
    /// Under which memory models it is right.
    pub right: Right,
    /// How it ends where it is not right, as [`Bug::ends`](super::Bug::ends) says for `broken`.
    pub ends: &'static str,
    /// The bug's own protocol that it is.
    pub(super) variant: Option<Variant>,
    /// Builds it, if it is none of those.
    pub(super) build: Option<fn() -> Box<dyn Protocol>>,
}

impl Stage {
    /// The mended protocol.
    pub const FIXED: Self = Self { name: "fixed", variant: Some(Variant::Fixed), ..Self::broken("") };

    /// The protocol with the bug, which `change` made of the one before.
    pub const fn broken(change: &'static str) -> Self {
        Self {
            name: "broken",
            change,
            right: Right::Nowhere,
            ends: "",
            variant: Some(Variant::Broken),
            build: None,
        }
    }

    /// A protocol that is wrong under each memory model, and ends like this.
    pub const fn wrong(name: &'static str, ends: &'static str, build: fn() -> Box<dyn Protocol>) -> Self {
        Self { name, ends, variant: None, build: Some(build), ..Self::broken("") }
    }

    /// A protocol that is right under each memory model.
    pub const fn right(name: &'static str, build: fn() -> Box<dyn Protocol>) -> Self {
        Self { right: Right::UpTo(Memory::Weak), ..Self::wrong(name, "", build) }
    }

    /// The same, which `change` made of the one before.
    #[must_use]
    pub const fn by(self, change: &'static str) -> Self {
        Self { change, ..self }
    }

    /// Returns whether `words` say that it ended as it does, whatever the places in the code.
    pub fn ends_as(&self, words: &str) -> bool {
        objections::ends_as(words, self.ends)
    }
}

/// The memory models under which a protocol is right. A model shows all that the stronger ones show, so they are those
/// up to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// None.
    Nowhere,
    /// This one and the stronger ones.
    UpTo(Memory),
}

impl Right {
    /// All memory models, strongest first.
    pub const MODELS: [Memory; 4] = [Memory::Sc, Memory::Tso, Memory::Pso, Memory::Weak];

    /// Returns what must come out under `memory`.
    pub fn under(self, memory: Memory) -> Expected {
        let place = |memory| Self::MODELS.iter().position(|known| *known == memory);
        match self {
            Self::UpTo(weakest) if place(memory) <= place(weakest) => Expected::Holds,
            _ => Expected::Violates,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Right;
    use shootdown_explore::Memory;
    use shootdown_machine::Expected::{Holds, Violates};

    #[test]
    fn a_protocol_is_right_up_to_a_model_and_wrong_from_there_on() {
        let under = |right: Right| Right::MODELS.map(|memory| right.under(memory));
        assert_eq!(under(Right::Nowhere), [Violates; 4]);
        assert_eq!(under(Right::UpTo(Memory::Tso)), [Holds, Holds, Violates, Violates]);
        assert_eq!(under(Right::UpTo(Memory::Weak)), [Holds; 4]);
    }
}
