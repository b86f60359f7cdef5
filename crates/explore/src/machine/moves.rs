/// One move of the machine: enough to replay it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The CPU that moves.
    pub cpu: usize,
    /// What it does.
    pub action: Action,
}

/// Kinds of moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Runs the next step of its topmost frame.
    Run,
    /// Runs it on an older message: this many newer ones of the word are passed over, by a load or read-modify-write
    /// that does not read them, or by a store that goes before them. Of a fence: it goes before so many others.
    Older(u8),
    /// Runs it and answers `sync::choose` with this.
    Choose(u8),
    /// Writes entry `n` of its store buffer to memory.
    Drain(u8),
    /// Takes interrupt `line`.
    Interrupt(u8),
}
