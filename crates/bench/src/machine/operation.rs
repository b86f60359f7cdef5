//! What each kind of operation costs.

use serde::{Serialize, Serializer};

/// A kind of operation, as the code that asks for it sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A space is made.
    Create,
    /// A program runs in a space that was not loaded.
    Switch,
    /// A program runs again in the space that was still loaded.
    Return,
    /// A kernel thread runs, or nothing.
    GoLazy,
    /// A kernel thread borrows a space.
    Borrow,
    /// It gives it back.
    GiveBack,
    /// One page is unmapped.
    UnmapOne,
    /// Several pages are unmapped, or all.
    UnmapMany,
    /// Pages and the tables that map them go.
    UnmapTables,
    /// Pages get other permissions.
    Protect,
    /// A space is copied.
    Fork,
    /// A space ends: its last program, its pages, its root.
    Exit,
    /// An IPI is handled.
    Answer,
}

impl Operation {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 13] = [
        Self::Create,
        Self::Switch,
        Self::Return,
        Self::GoLazy,
        Self::Borrow,
        Self::GiveBack,
        Self::UnmapOne,
        Self::UnmapMany,
        Self::UnmapTables,
        Self::Protect,
        Self::Fork,
        Self::Exit,
        Self::Answer,
    ];

    /// Its name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Switch => "switch",
            Self::Return => "return",
            Self::GoLazy => "go lazy",
            Self::Borrow => "borrow",
            Self::GiveBack => "give back",
            Self::UnmapOne => "unmap 1",
            Self::UnmapMany => "unmap many",
            Self::UnmapTables => "unmap tables",
            Self::Protect => "protect",
            Self::Fork => "fork",
            Self::Exit => "exit",
            Self::Answer => "answer",
        }
    }
}

/// What the operations of one kind cost the CPUs that carried them out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Spent {
    /// Operations.
    pub times: u64,
    /// IPIs sent.
    pub ipis: u64,
    /// Lines that came from another cache, or were taken from others.
    pub transfers: u64,
    /// Instructions, by the cost table.
    pub instructions: u64,
}

/// What operations of each kind cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByOperation([Spent; Operation::ALL.len()]);

impl ByOperation {
    pub(super) fn at(&mut self, operation: Operation) -> &mut Spent {
        &mut self.0[operation as usize]
    }

    /// Kinds of which there were any.
    pub fn iter(&self) -> impl Iterator<Item = (Operation, Spent)> + '_ {
        Operation::ALL.into_iter().zip(self.0).filter(|(_, spent)| spent.times > 0)
    }
}

impl Serialize for ByOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(operation, spent)| (operation.name(), spent)))
    }
}
