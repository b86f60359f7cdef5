//! Runs ordinary synchronous Rust through every execution of a small SMP machine.
//!
//! Code under check uses the cells and functions of [`sync`]; a [`Scenario`] says what each CPU runs, a [`Device`] adds
//! what hardware does besides memory and interrupts; [`explore`] visits every reachable state and says whether a rule
//! is broken, CPUs block each other or spin for ever, with the moves that lead there; [`replay`] makes such moves
//! again.
//!
//! ```
//! use shootdown_explore::sync::{Word, demand, fence};
//! use shootdown_explore::{Memory, NoDevice, Options, Registry, Scenario, Verdict, explore};
//! use std::sync::atomic::Ordering::{Relaxed, SeqCst};
//!
//! /// Two CPUs enter a room if the other's flag is down (Dekker's first idea).
//! struct Room {
//!     flags: [Word; 2],
//!     inside: Word,
//!     fenced: bool,
//! }
//!
//! impl Scenario for Room {
//!     type Device = NoDevice;
//!     fn cpus(&self) -> usize {
//!         2
//!     }
//!     fn main(&self, cpu: usize) {
//!         self.flags[cpu].store(1, Relaxed);
//!         if self.fenced {
//!             fence(SeqCst);
//!         }
//!         if self.flags[1 - cpu].load(Relaxed) == 0 {
//!             demand(self.inside.fetch_add(1, Relaxed) == 0, "both are inside");
//!         }
//!     }
//!     fn device(&self) -> &NoDevice {
//!         &NoDevice
//!     }
//!     fn register(&self, registry: &mut Registry) {
//!         registry.object("room", self);
//!         registry.array("room.flag", &self.flags);
//!     }
//! }
//!
//! let room = |fenced| Room { flags: [const { Word::new("flag", 0) }; 2], inside: Word::new("inside", 0), fenced };
//! let options = Options { memory: Memory::Tso, ..Options::default() };
//! let broken = explore(&room(false), &options);
//! assert_eq!(broken.verdict, Verdict::Violates("both are inside".into()));
//! assert_eq!(broken.trace.unwrap().steps[0].text, "room.flag[0] := 0x1 (buffered)");
//! assert_eq!(explore(&room(true), &options).verdict, Verdict::Holds);
//! ```
//!
//! # How it works
//!
//! The code of each CPU and of each interrupt handler runs as a coroutine, up to its next operation on a word, a fence,
//! an interrupt or the device. After the same answers to its operations so far, it must always do the same. So each
//! pair (entry point, answers) is run once and becomes a node of a trie that holds the next operation. Histories after
//! which the stack holds the same are one node (argued in `machine/merge.rs`). From then on exploring is table look-up
//! over a compact state: memory, store buffers, each CPU's stack of frames (nodes), the device. Each distinct part of a
//! state is stored once and has a 32-bit number; a state is one number per part and its parent, about 30 bytes for
//! three CPUs. Levels of equal distance from the start are expanded one after the other, by any number of workers, to
//! the same result.
//!
//! [`sync::wait_until`] blocks until a word it read changes: a stuck machine is a state in which nothing moves.
//! [`sync::retry`] goes back to where it began: spinning is a cycle.
//!
//! # The machine
//!
//! * At most 8 CPUs, 8 store buffer entries each, 239 words, 64 objects, 16 interrupt lines that are raised, 32768
//!   different large values. Whatever exceeds a limit ends in [`Verdict::Stopped`], never in a pass.
//! * [`Memory::Sc`]: every store is in memory at once.
//! * [`Memory::Tso`]: one FIFO per CPU; its own loads see it. Read-modify-writes, `fence(SeqCst)` and a handler's
//!   return (x86: IRET) wait until it is empty; entering a handler does not.
//! * [`Memory::Pso`]: a FIFO per CPU and word. Release stores wait for all before them, a release fence keeps later
//!   stores behind earlier ones, relaxed and acquire read-modify-writes wait for their own word's stores only.
//! * [`Memory::Weak`]: RC11 without load buffering, which is what C++ and Rust promise of atomics. Loads may read old
//!   stores, stores may go before others, a read-modify-write is atomic and orders what its ordering says. At most 32
//!   stores of a word that can still be read. It has fences that are `SeqCst`, but no such accesses: they are refused.
//! * A `SeqCst` store acts as an exchange, which is what compilers make of it on TSO machines.
//! * An interrupt that is pending is taken at any state with interrupts on, up to [`Options::nesting`] deep. Raising
//!   one orders no memory access. A non-maskable one waits only while the handler of another runs. A CPU that is reset
//!   loses what is pending ([`sync::lose_interrupts`]).
//!
//! # What a verdict means
//!
//! [`Verdict::Holds`]: no execution of this scenario on this machine breaks a rule; [`Report::complete`] says so, too.
//! Steps that commute with all that others can still do are not interleaved ([`Reductions::partial_order`], argued and
//! listed in `machine/reduce.rs`); this keeps every local state of every frame, every final state, deadlock and
//! livelock. Runs with and without reductions are compared by that on random programs in the tests; and with the
//! outcomes that herd7 computed of 1,199 programs, and those that an enumerator finds of random ones with interrupts.
//!
//! [`Options::contexts`] and [`Options::random`] visit a part of all executions, for what is too large. A finding of
//! theirs is real, and can be replayed; a run that finds nothing says [`Verdict::Unproved`]. [`Options::all_findings`]
//! goes on after the first finding.
//!
//! Not promised: loads that are delayed past stores (load buffering; ARM, RISC-V and POWER do that), values out of thin
//! air, accesses of several sizes to one place, device memory; under the models with store buffers also loads that pass
//! each other and stores that reach some CPUs before others; more CPUs, words or calls than the scenario has.
//!
//! # Rules for code under check
//!
//! * All state that another CPU or a handler can see is in [`sync::Word`]s, which live in the scenario, not on the
//!   stack.
//! * It does the same whenever it gets the same answers: no clock, no randomness, no hash order, no statics.
//! * Runs are abandoned without unwinding: destructors do not run and what they own leaks. Better not to allocate:
//!   histories of a frame that has something on the heap are not merged.
//! * The condition of a wait only loads words; an attempt of a retry keeps nothing outside words.
//! * Code states what must be true with [`sync::demand`]. A panic is a mistake of the model ([`Verdict::Panics`]), and
//!   so is what breaks these rules or asks for what the machine does not have ([`Verdict::Misuses`]).

// `code` is what code under check may do, `machine` what one move does, `search` visits all states, `report` tells; each uses those
// before it. Files that are an `impl` of one type: `resolve` and `merge` of `world`; `program`, `reduce`, `weak/step` and `weak/uses`
// of `step`; `orders` and `record` of `weak/messages`.
mod code;
mod explore;
mod machine;
mod options;
mod report;
mod search;

pub use code::coroutine::caught;
pub use code::ending::{Named, exit, named, what_runs};
pub use code::mutation::{Drops, Mutation};
pub use code::sync;
pub use code::watch::{Hung, Watchdog, built};
pub use explore::{explore, replay};
pub use machine::device::{Commutes, Device, Effect, Facts, NoDevice, Refetch, Uses, View};
pub use machine::dissection::{Dissection, Fact, Item, Standing};
pub use machine::moves::{Action, Move};
pub use machine::registry::Registry;
pub use machine::scenario::{Interrupts, Scenario};
pub use machine::survey::{Did, Site, Survey};
pub use machine::violation::{Broken, Violation};
pub use options::{Memory, Options, Progress, Reductions, Sampling};
pub use report::snapshot::{Buffered, CpuSnapshot, FrameSnapshot, Snapshot, WordSnapshot};
pub use report::{Finding, Report, Step, Trace, Verdict};
pub use search::reached::{Ending, Reached};
pub use search::round::WORKER;
