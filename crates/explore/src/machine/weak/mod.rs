//! RC11 without load buffering, as a machine of messages and views.
//!
//! Model: Lahav, Vafeiadis, Kang, Hur, Dreyer, "Repairing sequential consistency in C/C++11" (PLDI 2017), with the
//! release sequences of C++20, for accesses that are relaxed, acquire, release or both, and fences of all kinds. It
//! keeps what is written in the order of the program (sb and rf have no cycle), so a machine that runs one step after
//! the other shows every execution:
//!
//! * Each word has a list of *messages* in modification order: a value, and the *view* that a release lets it carry. A
//!   view holds for each word the oldest message that it still allows.
//! * Each CPU has three: what it may still read (`CURRENT`), what an acquire fence would add to that (`ACQUIRE`: the
//!   views of all messages that it has read), what its relaxed stores carry (`RELEASE`: its view at its last release
//!   fence). Handlers run on the CPU and share them.
//! * A load takes any message that the view allows. A store puts its message anywhere behind the view, though never
//!   between a message and the read-modify-write that replaced it. A read-modify-write takes a message that has none
//!   yet and puts its own right behind it, with the view of the one it took: the release sequence goes on. A later
//!   plain store of the CPU does not go on with one.
//! * Sequentially consistent fences have an order of their own, see `orders.rs`.
//!
//! Uses of what may be given away, and hardware that lags behind its CPU, have views of the same kind: see `uses.rs`
//! and `SYNCED`.
//!
//! What nobody can tell apart is made equal: messages that no view allows are dropped, the others numbered from 0, and
//! entries of a view that all CPUs have passed are 0.

pub(crate) mod messages;
mod orders;
mod record;
mod step;
pub(crate) mod uses;
pub(crate) mod words;
