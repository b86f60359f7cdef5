//! The one call of a callback that unwinds.

use std::any::Any;

/// What a panic of the embedder's begins with.
pub const EXPLOSION: &str = "the embedder panics";

/// What of the embedder's the engine calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Callback {
    Pin,
    PinDrop,
    Cpu,
    Local,
    IrqSave,
    IrqRestore,
    Tags,
    FlushLocal,
    Install,
    SendIpi,
    FreeRoot,
    DeferTeardown,
    FlushRemote,
    NeedsAck,
    Defer,
    PublishTables,
    Relax,
    Stalled,
    InvalidateSecondary,
    SecondaryIsDone,
    SecondaryStalled,
    BeforeOffline,
    Gathered,
    Released,
    Event,
    TagNewSpace,
    TagAssign,
    TagOnSwitchOut,
    TagOnUnload,
    TagFlushed,
    TagReassigned,
    TagFlushMethod,
    TagRetire,
    TagShare,
    Broadcast,
    MaskWords,
    MaskSummary,
    HandleClone,
    HandleSpace,
    HandleDrop,
    FrameDrop,
    Closure,
}

/// Whether a callback unwinds before it does its work or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

/// The call that unwinds: the how many-th of which callback.
#[derive(Clone, Copy, Debug)]
pub struct Bomb {
    pub callback: Callback,
    pub nth: u64,
    pub when: When,
}

/// Demands that a panic is the bomb's.
pub fn is_explosion(panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(text.starts_with(EXPLOSION), "{text}");
}
