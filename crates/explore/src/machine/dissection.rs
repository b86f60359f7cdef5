//! A device's state taken apart, for a drawing that one can step through.

/// Something that a device says of its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about: `TLB`.
    pub name: &'static str,
    /// What there is; nothing is a fact as well.
    pub items: Vec<Item>,
}

/// One thing that a device holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// In words.
    pub text: String,
    /// Whether it still agrees with memory.
    pub standing: Standing,
}

/// How far something that hardware holds agrees with memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Memory says the same, or it is nothing that memory could say.
    Sound,
    /// Memory says otherwise by now.
    Stale,
    /// It leads to what was given away.
    Dangling,
}

/// A device's state taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dissection {
    /// Of each CPU.
    pub cpus: Vec<Vec<Fact>>,
    /// Of all.
    pub shared: Vec<Fact>,
}

impl Fact {
    /// Makes a fact whose items agree with memory, or cannot disagree.
    pub fn sound(name: &'static str, items: impl IntoIterator<Item = String>) -> Self {
        let items = items.into_iter().map(|text| Item { text, standing: Standing::Sound });
        Self { name, items: items.collect() }
    }
}
