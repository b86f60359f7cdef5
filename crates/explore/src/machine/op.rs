//! What the explorer makes of a request: the next step of a node.

use crate::code::request::Change;
use crate::machine::device::{Commutes, Facts};
use core::sync::atomic::Ordering;

/// What the CPU's own store buffer must look like before a step can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Anything.
    Open,
    /// No entry of the step's cell and no barrier marker.
    NoEntry,
    /// Empty.
    Empty,
}

/// A request made ready for the memory model in force: what a node of the trie does next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Op {
    Load {
        cell: u16,
        acquire: bool,
    },
    /// Writes memory directly.
    Put {
        cell: u16,
        value: u16,
        gate: Gate,
    },
    /// Enters the store buffer, or is a message at once.
    Buffer {
        cell: u16,
        value: u16,
        release: bool,
    },
    Rmw {
        cell: u16,
        change: Change,
        gate: Gate,
        sides: Sides,
    },
    Fence {
        gate: Gate,
    },
    /// A fence that acts on views.
    Order(Sides),
    /// A barrier marker in the store buffer.
    Mark,
    IrqSave,
    IrqRestore(bool),
    IrqEnabled,
    Raise {
        cpu: u8,
        line: u8,
    },
    /// These lines of this CPU are no longer pending.
    Lose(u32),
    Choose(u8),
    Device {
        op: u64,
        gate: Gate,
        commutes: Commutes,
    },
    Retire(u8),
    /// Blocked until a word that the evaluation read changes.
    WaitFalse,
    LoopBack,
    /// The frame has ended.
    Done,
    /// The code panicked; the trie holds the text.
    Panicked,
    /// The exploration cannot go on; the trie holds the text.
    Stop,
}

/// What an access or a fence orders, under the model of messages and views.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sides {
    pub(crate) acquire: bool,
    pub(crate) release: bool,
    /// A compare-and-exchange that fails acquires.
    pub(crate) failed: bool,
    /// A sequentially consistent fence.
    pub(crate) full: bool,
}

impl Sides {
    pub(crate) fn new(order: Ordering, failed: Ordering) -> Self {
        Self {
            acquire: acquires(order),
            release: matches!(order, Ordering::Release | Ordering::AcqRel | Ordering::SeqCst),
            failed: acquires(failed),
            full: order == Ordering::SeqCst,
        }
    }
}

pub(crate) fn acquires(order: Ordering) -> bool {
    matches!(order, Ordering::Acquire | Ordering::AcqRel | Ordering::SeqCst)
}

/// Gates that a memory model gives to each kind of access.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gates {
    pub(crate) memory: crate::Memory,
}

impl Gates {
    /// Whether stores go through a buffer; a sequentially consistent store is modelled as an exchange, which is
    /// what compilers emit for it on TSO machines.
    pub(crate) fn buffers(self, order: Ordering) -> bool {
        self.memory != crate::Memory::Sc && order != Ordering::SeqCst
    }
    /// Gate of a store that does not go through the buffer.
    pub(crate) fn put(self) -> Gate {
        if self.memory == crate::Memory::Sc { Gate::Open } else { Gate::Empty }
    }
    /// Gate of a read-modify-write.
    pub(crate) fn rmw(self, order: Ordering) -> Gate {
        match self.memory {
            crate::Memory::Sc | crate::Memory::Weak => Gate::Open,
            crate::Memory::Tso => Gate::Empty,
            crate::Memory::Pso if matches!(order, Ordering::Relaxed | Ordering::Acquire) => Gate::NoEntry,
            crate::Memory::Pso => Gate::Empty,
        }
    }
    /// What a fence does.
    pub(crate) fn fence(self, order: Ordering) -> Op {
        match (self.memory, order) {
            (crate::Memory::Weak, _) => Op::Order(Sides::new(order, Ordering::Relaxed)),
            (crate::Memory::Sc, _) => Op::Fence { gate: Gate::Open },
            (_, Ordering::SeqCst) => Op::Fence { gate: Gate::Empty },
            (crate::Memory::Pso, Ordering::Release | Ordering::AcqRel) => Op::Mark,
            _ => Op::Fence { gate: Gate::Open },
        }
    }
    /// Gate of a device operation. Where there are no buffers, one that waits for them is a full fence.
    pub(crate) fn device(self, facts: Facts) -> Gate {
        let drains = match self.memory {
            crate::Memory::Sc => false,
            crate::Memory::Tso => facts.drains_tso,
            crate::Memory::Pso => facts.drains_pso,
            crate::Memory::Weak => facts.fences,
        };
        if drains { Gate::Empty } else { Gate::Open }
    }
    /// Gate of a return from an interrupt: on x86, IRET drains the store buffer, interrupt entry does not.
    pub(crate) fn interrupt_return(self) -> Gate {
        if self.memory == crate::Memory::Tso { Gate::Empty } else { Gate::Open }
    }
}
