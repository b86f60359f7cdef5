//! Runs a trace under a policy.

use super::format::{Entry, Reader, Seen, TraceError};
use crate::machine::{CpuCount, Op, Outcome, PageTables, Pages, SECOND, Source, run};
use crate::policy::{PolicyKind, policy};
use serde::Serialize;
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::io::Read;

/// Cycles of a microsecond.
const MICRO: u64 = SECOND / 1_000_000;
/// Where pages that a flush names are put; a trace does not say.
const FIRST_PAGE: u64 = 0x1000;

/// Numbers that spaces of a trace may have: more than a billion come and go in no recording.
const MAX_SPACES: u32 = 1 << 30;
/// Pages from which a flush is one of the whole space: 4 GiB.
const MAX_PAGES: u32 = 1 << 20;

/// What the recorded kernel said that it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recorded {
    /// Flushes because another root was loaded.
    pub switches: u64,
    /// Flushes in an IPI handler.
    pub remote_shootdowns: u64,
    /// Flushes of the initiator's own TLB.
    pub local: u64,
    /// Flushes that turned to other CPUs.
    pub remote_sends: u64,
    /// CPUs that were called and had left the space.
    pub wrong_cpus: u64,
    /// Entries read.
    pub entries: u64,
}

/// What a replay gave.
#[derive(Debug)]
pub struct Replayed {
    /// The counts under the policy.
    pub outcome: Outcome,
    /// What the recorded kernel did.
    pub recorded: Recorded,
    /// Why the trace was not read to its end, if it was not.
    pub error: Option<TraceError>,
}

struct State<R, P> {
    reader: Reader<R>,
    /// Spaces that were made and have not ended.
    live: HashSet<u32>,
    /// The number after the largest that a space had.
    made: u32,
    recorded: Recorded,
    error: Option<TraceError>,
    queued: VecDeque<(u64, u32, Op)>,
    progress: P,
}

/// Runs the trace that `reader` reads under a policy, with tags or without; `progress` is told of the bytes read.
pub fn replay<R: Read>(
    kind: PolicyKind,
    reader: Reader<R>,
    tags: bool,
    progress: impl FnMut(u64),
) -> Replayed {
    let cpus = CpuCount::new(usize::from(reader.header().cpus)).expect("the reader has checked it");
    let (recorded, queued) = (Recorded::default(), VecDeque::new());
    let state = RefCell::new(State {
        reader,
        live: HashSet::new(),
        made: 0,
        recorded,
        error: None,
        queued,
        progress,
    });
    let stream = std::iter::from_fn(|| state.borrow_mut().next());
    let outcome = run(cpus, policy(kind, cpus.number(), tags), Source::Stream(Box::new(stream)));
    let state = state.into_inner();
    Replayed { outcome, recorded: state.recorded, error: state.error }
}

impl<R: Read, P: FnMut(u64)> State<R, P> {
    fn next(&mut self) -> Option<(u64, u32, Op)> {
        loop {
            if let Some(op) = self.queued.pop_front() {
                return Some(op);
            }
            if self.error.is_some() {
                return None;
            }
            let (micros, cpu, entry) = match self.reader.entry() {
                Ok(entry) => entry?,
                Err(error) => {
                    self.error = Some(error);
                    return None;
                }
            };
            self.recorded.entries += 1;
            if let Some(what) = self.impossible(entry) {
                self.error = Some(TraceError::Corrupt(self.reader.offset(), what));
                return None;
            }
            if self.recorded.entries % 4096 == 0 {
                (self.progress)(self.reader.offset());
            }
            self.take(micros * MICRO, u32::from(cpu), entry);
        }
    }

    /// Says why no machine can have done what `entry` says, and keeps account of spaces.
    fn impossible(&mut self, entry: Entry) -> Option<&'static str> {
        match entry {
            Entry::Create(space) if space >= MAX_SPACES => Some("a space of too large a number"),
            Entry::Create(space) if !self.live.insert(space) => Some("a space is made that is there"),
            Entry::Create(space) => {
                self.made = self.made.max(space + 1);
                None
            }
            Entry::Run(space) if !self.live.contains(&space) => Some("a space that is not there"),
            // One that has ended may still be flushed: a CPU that is late to leave it says so.
            Entry::Flush { space, .. } if space >= self.made => Some("a space that never was"),
            Entry::Exit(space) if !self.live.remove(&space) => Some("a space ends that is not there"),
            _ => None,
        }
    }

    fn take(&mut self, at: u64, cpu: u32, entry: Entry) {
        let mut push = |op| self.queued.push_back((at, cpu, op));
        match entry {
            Entry::Create(space) => push(Op::Create(space)),
            Entry::Run(space) => {
                push(Op::Switch(space));
                push(Op::Touch(Pages { first: FIRST_PAGE, count: 8 }));
            }
            Entry::Kernel => push(Op::Lazy(false)),
            Entry::Idle => push(Op::Lazy(true)),
            Entry::Flush { pages, tables, space } => {
                let tables = if tables { PageTables::Freed } else { PageTables::Kept };
                let pages = match pages {
                    0 | MAX_PAGES.. => Pages::ALL,
                    count => Pages { first: FIRST_PAGE, count: count.into() },
                };
                push(Op::Flush(space, pages, tables));
            }
            Entry::Exit(space) => push(Op::Exit(space)),
            Entry::Seen(Seen::Switch) => self.recorded.switches += 1,
            Entry::Seen(Seen::RemoteShootdown) => self.recorded.remote_shootdowns += 1,
            Entry::Seen(Seen::Local) => self.recorded.local += 1,
            Entry::Seen(Seen::RemoteSend) => self.recorded.remote_sends += 1,
            Entry::Seen(Seen::WrongCpu) => self.recorded.wrong_cpus += 1,
        }
    }
}
