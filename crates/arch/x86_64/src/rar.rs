//! Remote Action Requests: microcode of other CPUs drops translations, whatever these run and with interrupts on or
//! off.
//!
//! All CPUs share a table of [`Payload`]s, which say what to do. Each CPU has an [`ActionVector`] with a byte a
//! payload. A request fills a payload, marks its byte in the vector of each target ([`Actions::begin`]), sends an
//! interrupt command ([`command`]), and waits until no target's byte is pending ([`Actions::progress`]). Checked as the
//! engine's scenario `transport-actions`; it has run on no hardware here.
//!
//! Sources: Intel's datasheets name the feature and its requests (13th generation, 743844); layouts and numbers are
//! those of the patches "Intel RAR TLB invalidation" for Linux of 2025 (arch/x86/include/asm/rar.h, msr-index.h,
//! apicdef.h), which Intel wrote. Of the six types only the one for PCIDs is used here: subtypes of those for EPT and
//! VPIDs are in no public source.

use crate::encode::{LinearWidth, Pcid};
use crate::plan::{Target, canonical, pages_of};
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering, fence};
use shootdown::flush::{FlushRequest, Levels, Pages};

/// MSR IA32_CORE_CAPABILITIES, which tells by [`is_offered`] whether a CPU has the feature.
pub const MSR_CORE_CAPABILITIES: u32 = 0xcf;
/// MSR IA32_RAR_CTRL, which takes [`ENABLE`] and [`IGNORE_IF`].
pub const MSR_CONTROL: u32 = 0xed;
/// MSR IA32_RAR_ACT_VEC: physical address of this CPU's [`ActionVector`].
pub const MSR_ACTION_VECTOR: u32 = 0xee;
/// MSR IA32_RAR_PAYLOAD_BASE: physical address of the payloads that all CPUs share.
pub const MSR_PAYLOAD_BASE: u32 = 0xef;
/// MSR IA32_RAR_INFO, which tells by [`payloads`] how many there may be.
pub const MSR_INFO: u32 = 0xf0;

/// Has a CPU take requests.
pub const ENABLE: u64 = 1 << 31;
/// Has it take them with interrupts off, too: without, a CPU that waits for others with interrupts off holds them up.
pub const IGNORE_IF: u64 = 1 << 30;

/// Whether the value of [`MSR_CORE_CAPABILITIES`] offers the feature.
pub const fn is_offered(core_capabilities: u64) -> bool {
    core_capabilities >> 1 & 1 == 1
}

/// Returns how many payloads the CPU takes, from the value of [`MSR_INFO`]: the field is the last one's number.
pub const fn payloads(info: u64) -> usize {
    (info >> 32 & 0x3f) as usize + 1
}

/// Returns the low half of an interrupt command that has its destination look at its vector: delivery mode 3, in
/// physical or logical mode as bit 11 says, which the caller adds with the destination.
pub const fn command() -> u32 {
    0b011 << 8
}

/// Payloads at most.
pub const PAYLOADS: usize = 64;
/// Pages that one payload names at most.
pub const PAGES: u64 = 63;

/// One request: INVPCID of another CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    request: u64,
    pcid: u64,
    address: u64,
}

impl Payload {
    const INVPCID: u64 = 2 << 8;
    const SUBTYPE_SHIFT: u32 = 32;
    const PAGE_SIZE_SHIFT: u32 = 35;
    const COUNT_SHIFT: u32 = 37;

    /// Chooses the payload for a request about what is `whose`.
    ///
    /// What one payload cannot say is widened: pages of kernel memory, as the type for addresses leaves global
    /// translations; freed tables, as it leaves cached ones; a space that each CPU runs under a PCID of its own. A tag
    /// that is no PCID is none that all CPUs use. No payload synchronises contexts, for which the engine sends IPIs;
    /// here they are widened.
    pub const fn choose(whose: Target, request: FlushRequest, width: LinearWidth) -> Self {
        let pcid = match whose {
            Target::Kernel => return Self::all_with_globals(),
            Target::Space(None) => return Self::all(),
            Target::Space(Some(tag)) => match Pcid::new(tag.number()) {
                Ok(pcid) => pcid,
                Err(_) => return Self::all(),
            },
        };
        match (request.range(), request.levels()) {
            (Some(range), Levels::Leaf) if !request.syncs_contexts() => {
                let pages = pages_of(range);
                if pages.remaining() <= PAGES && canonical(&pages, width) {
                    Self::pages(pcid, pages)
                } else {
                    Self::context(pcid)
                }
            }
            _ => Self::context(pcid),
        }
    }

    /// Pages under a PCID, global translations excepted. Sizes are 0 for 4 KiB, 1 for 2 MiB, 2 for 1 GiB.
    const fn pages(pcid: Pcid, pages: Pages) -> Self {
        let page_size = (pages.shift() as u64 - 12) / 9;
        let request =
            Self::INVPCID | page_size << Self::PAGE_SIZE_SHIFT | pages.remaining() << Self::COUNT_SHIFT;
        Self { request, pcid: pcid.number() as u64, address: pages.start().0 }
    }

    /// A PCID, global translations excepted.
    pub const fn context(pcid: Pcid) -> Self {
        Self { request: Self::INVPCID | 1 << Self::SUBTYPE_SHIFT, pcid: pcid.number() as u64, address: 0 }
    }

    /// All PCIDs and global translations.
    pub const fn all_with_globals() -> Self {
        Self { request: Self::INVPCID | 2 << Self::SUBTYPE_SHIFT, pcid: 0, address: 0 }
    }

    /// All PCIDs, global translations excepted.
    pub const fn all() -> Self {
        Self { request: Self::INVPCID | 3 << Self::SUBTYPE_SHIFT, pcid: 0, address: 0 }
    }

    /// The words that count, of eight: request, 0, PCID, address.
    pub const fn words(&self) -> [u64; 4] {
        [self.request, 0, self.pcid, self.address]
    }
}

/// The payloads, shared by all CPUs. One such table a machine, at [`MSR_PAYLOAD_BASE`].
#[derive(Debug)]
#[repr(C, align(4096))]
pub struct Actions {
    table: [[AtomicU64; 8]; PAYLOADS],
    /// A bit for each payload that is in use.
    used: AtomicU64,
}

/// What a CPU is asked to do: a byte for each payload, at [`MSR_ACTION_VECTOR`] of that CPU.
#[derive(Debug)]
#[repr(C, align(64))]
pub struct ActionVector([AtomicU8; PAYLOADS]);

const PENDING: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
const DONE: u8 = 0;

/// How far a target is with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It has not done it yet.
    Pending,
    /// It has: no translation that was asked about is used any more.
    Done,
    /// It refuses, with this status: send it an IPI instead.
    Failed(u8),
}

/// A payload that is in use. Given back by [`Actions::finish`], when every target has done it or refused; until then
/// microcode may read it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a payload that is not finished is in use for ever"]
pub struct Action(usize);

impl Actions {
    /// Makes a table of which no payload is in use; all CPUs take `count` of them, which is the least that [`payloads`]
    /// found.
    pub const fn new(count: usize) -> Self {
        let beyond = if count >= PAYLOADS { 0 } else { u64::MAX << count };
        Self { table: [const { [const { AtomicU64::new(0) }; 8] }; PAYLOADS], used: AtomicU64::new(beyond) }
    }

    /// Takes a payload for a request, or nothing where all are in use: send IPIs, or try again.
    ///
    /// The caller is not interrupted, nor moved to another CPU, until it has finished the action, unless the handler
    /// needs no payload itself.
    pub fn begin(&self, payload: Payload) -> Option<Action> {
        let mut used = self.used.load(Ordering::Relaxed);
        let number = loop {
            let number = used.trailing_ones();
            if number as usize >= PAYLOADS {
                return None;
            }
            // ORDER(SD-8): who had this payload before saw all its targets done; partner: `finish`.
            match self.used.compare_exchange_weak(
                used,
                used | 1 << number,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => break number as usize,
                Err(found) => used = found,
            }
        };
        for (word, value) in self.table[number].iter().zip(payload.words()) {
            // ORDER: relaxed; `ask` releases them.
            word.store(value, Ordering::Relaxed);
        }
        Some(Action(number))
    }

    /// Asks a target for the action. After all targets: a full fence, then [`command`] to each.
    pub fn ask(&self, action: &Action, target: &ActionVector) {
        // ORDER(SD-4): the payload, and the page tables and the generation by the engine's fence, come before the byte;
        // microcode reads the byte, then the payload, then flushes.
        target.0[action.0].store(PENDING, Ordering::Release);
    }

    /// Orders what was asked before the interrupt commands. An x2APIC takes them by WRMSR, which waits for no store.
    pub fn before_command(&self) {
        // ORDER(SD-4): the bytes are visible before the command; microcode that finds none pending does nothing.
        fence(Ordering::SeqCst);
    }

    /// Looks how far a target is.
    pub fn progress(&self, action: &Action, target: &ActionVector) -> Progress {
        // ORDER(SD-8): the flush comes before frames are let go; partner: microcode, which writes the byte after it.
        match target.0[action.0].load(Ordering::Acquire) {
            DONE => Progress::Done,
            PENDING | ACKNOWLEDGED => Progress::Pending,
            status => Progress::Failed(status),
        }
    }

    /// Gives the payload back, after every target was [`Progress::Done`] or [`Progress::Failed`].
    pub fn finish(&self, action: Action) {
        // ORDER(SD-8): what this CPU saw of the targets comes before the payload is used again; partner: `begin`.
        self.used.fetch_and(!(1 << action.0), Ordering::Release);
    }
}

impl ActionVector {
    /// Makes the vector of a CPU that is asked nothing.
    pub const fn new() -> Self {
        Self([const { AtomicU8::new(DONE) }; PAYLOADS])
    }
}

impl Default for ActionVector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown::flush::{PageRange, PageSize, VirtAddr};
    use shootdown::tags::Tag;

    const SPACE: Target = Target::Space(Some(Tag::new(5)));

    fn choose(whose: Target, start: u64, count: u64, size: PageSize, freed: bool) -> [u64; 4] {
        let range = PageRange::new(VirtAddr(start), count, size).expect("a range");
        let request = FlushRequest::pages(range);
        let request = if freed { request.tables_freed() } else { request };
        Payload::choose(whose, request, LinearWidth::Bits48).words()
    }

    #[test]
    fn pages_are_a_type_a_size_and_a_count() {
        let kept = |start, count, size| choose(SPACE, start, count, size, false);
        assert_eq!(kept(0x7000, 3, PageSize::Size4K), [3 << 37 | 2 << 8, 0, 5, 0x7000]);
        assert_eq!(kept(0x40_0000, 2, PageSize::Size2M), [2 << 37 | 1 << 35 | 2 << 8, 0, 5, 0x40_0000]);
        assert_eq!(kept(1 << 30, 1, PageSize::Size1G), [1 << 37 | 2 << 35 | 2 << 8, 0, 5, 1 << 30]);
        assert_eq!(kept(0, 63, PageSize::Size4K)[0], 63 << 37 | 2 << 8);
    }

    #[test]
    fn what_one_payload_cannot_say_is_widened() {
        let (context, all) = ([1 << 32 | 2 << 8, 0, 5, 0], [3 << 32 | 2 << 8, 0, 0, 0]);
        let kept = false;
        assert_eq!(choose(SPACE, 0, 64, PageSize::Size4K, kept), context, "more pages than fit");
        assert_eq!(choose(SPACE, 0x7000, 1, PageSize::Size4K, true), context);
        assert_eq!(choose(SPACE, 1 << 47, 1, PageSize::Size4K, kept), context, "not canonical");
        for request in [FlushRequest::all(), FlushRequest::contexts()] {
            assert_eq!(Payload::choose(SPACE, request, LinearWidth::Bits48).words(), context);
        }
        for whose in [Target::Space(None), Target::Space(Some(Tag::new(0x1000)))] {
            assert_eq!(choose(whose, 0x7000, 1, PageSize::Size4K, kept), all);
        }
        let kernel = choose(Target::Kernel, 0x7000, 1, PageSize::Size4K, kept);
        assert_eq!(kernel, [2 << 32 | 2 << 8, 0, 0, 0]);
    }

    #[test]
    fn a_request_is_done_when_each_target_has_written_its_byte() {
        let (actions, targets) = (Actions::new(64), [ActionVector::new(), ActionVector::default()]);
        let action = actions.begin(Payload::all()).expect("a payload");
        targets.iter().for_each(|target| actions.ask(&action, target));
        actions.before_command();
        let progress = |target: usize| actions.progress(&action, &targets[target]);
        assert_eq!((progress(0), progress(1)), (Progress::Pending, Progress::Pending));
        // As microcode does.
        targets[0].0[0].store(ACKNOWLEDGED, Ordering::Relaxed);
        assert_eq!(progress(0), Progress::Pending);
        targets[0].0[0].store(DONE, Ordering::Release);
        targets[1].0[0].store(0x80, Ordering::Release);
        assert_eq!((progress(0), progress(1)), (Progress::Done, Progress::Failed(0x80)));
        assert_eq!(actions.table[0][0].load(Ordering::Relaxed), Payload::all().words()[0]);
        actions.finish(action);
    }

    #[test]
    fn payloads_in_use_are_given_to_nobody_else() {
        let actions = Actions::new(2);
        let first = actions.begin(Payload::all()).expect("a payload");
        let second = actions.begin(Payload::all_with_globals()).expect("a payload");
        assert_eq!((first.0, second.0), (0, 1));
        assert_eq!(actions.begin(Payload::all()), None, "the CPU takes two");
        actions.finish(first);
        let again = actions.begin(Payload::context(Pcid::SHARED)).expect("a payload");
        assert_eq!(again, Action(0));
        assert_eq!(Actions::new(64).used.load(Ordering::Relaxed), 0);
        assert_eq!(Actions::new(0).begin(Payload::all()), None);
        actions.finish(again);
        actions.finish(second);
    }

    #[test]
    fn registers_and_layouts_are_those_of_the_source() {
        let registers = [MSR_CORE_CAPABILITIES, MSR_CONTROL, MSR_ACTION_VECTOR, MSR_PAYLOAD_BASE, MSR_INFO];
        assert_eq!(registers, [0xcf, 0xed, 0xee, 0xef, 0xf0]);
        assert_eq!((ENABLE, IGNORE_IF, command()), (0x8000_0000, 0x4000_0000, 0x300));
        assert!(is_offered(2) && !is_offered(!2));
        assert_eq!((payloads(0x3f << 32), payloads(0), payloads(u64::MAX)), (64, 1, 64));
        assert_eq!((core::mem::offset_of!(Actions, table), align_of::<Actions>()), (0, 4096));
        assert_eq!(size_of::<[AtomicU64; 8]>(), 64, "a payload is 64 bytes");
        assert_eq!((size_of::<ActionVector>(), align_of::<ActionVector>()), (64, 64));
    }
}
