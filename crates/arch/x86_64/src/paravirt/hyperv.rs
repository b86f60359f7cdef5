//! Hyper-V: hypercalls that flush on virtual processors, running or not.
//!
//! Source: Hypervisor Top Level Functional Specification, chapters on hypercalls and on the virtual TLB:
//! `HvCallFlushVirtualAddressSpace`, `...List`, and their `Ex` forms with sets of processors.

use crate::encode::Root;
use core::fmt;
use shootdown::CpuId;
use shootdown::flush::{FlushRequest, PageRange};

const FLUSH_SPACE: u64 = 0x0002;
const FLUSH_LIST: u64 = 0x0003;
const FLUSH_SPACE_EX: u64 = 0x0013;
const FLUSH_LIST_EX: u64 = 0x0014;

const ALL_PROCESSORS: u64 = 1;
const ALL_SPACES: u64 = 2;

/// Ranges of one call at most; more pages than they hold become a flush of the whole space.
const RANGES: usize = 16;
/// Pages that one range holds: the first and up to 4095 more, counted in the low bits of the address.
const RANGE_PAGES: u64 = 4096;
/// Banks of 64 processors.
const BANKS: usize = 64;
const WORDS: usize = 4 + BANKS + RANGES;

/// Virtual processors, by the hypervisor's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processors {
    banks: [u64; BANKS],
    beyond: bool,
}

impl Processors {
    /// Nobody.
    pub const NONE: Processors = Processors { banks: [0; BANKS], beyond: false };
    /// All.
    pub const ALL: Processors = Processors { banks: [0; BANKS], beyond: true };

    /// Adds up to 64 processors, as [`RemoteFlush::for_each_target`](shootdown::flush::RemoteFlush::for_each_target)
    /// names them, where processor indices are CPU numbers. Those that no set has room for make it a set of all.
    pub fn add(&mut self, first: CpuId, bits: u64) {
        for bit in (0..64).filter(|bit| bits >> bit & 1 != 0) {
            let index = first.index() + bit;
            match self.banks.get_mut(index / 64) {
                Some(bank) => *bank |= 1 << (index % 64),
                None => self.beyond = true,
            }
        }
    }

    fn valid(&self) -> u64 {
        (0..BANKS).filter(|&bank| self.banks[bank] != 0).fold(0, |all, bank| all | 1 << bank)
    }
}

/// A call: its control word and its input, which goes to the start of a page that the hypervisor can read.
#[derive(Clone, Copy, Debug)]
pub struct FlushCall {
    control: u64,
    input: [u64; WORDS],
    used: usize,
}

/// How far a call got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Everything is flushed.
    Done,
    /// Call again, with this control word and the same input.
    Again(u64),
    /// The hypervisor refused, with this status: flush by IPIs instead.
    EncodeError(u16),
}

/// A call was to name no processor: the hypervisor would carry it out at once, and flush nothing. For kernel memory,
/// add those that [`RemoteFlush::for_each_target`](shootdown::flush::RemoteFlush::for_each_target) names, or use
/// [`Processors::ALL`]; where a space has no targets there is nothing to call for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoProcessor;

impl fmt::Display for NoProcessor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a flush on no processor flushes nothing; add the targets, or use Processors::ALL")
    }
}

impl core::error::Error for NoProcessor {}

impl FlushCall {
    /// Flushes what `request` covers of the space with this root on these processors; kernel memory has no root and
    /// means every space. What one call cannot say is widened. No call synchronises contexts: a guest that changes code
    /// sends IPIs for that, and an engine whose [`FlushRemote`](shootdown::coherence::FlushRemote) does not claim to
    /// refuses such a request.
    ///
    /// # Errors
    /// [`NoProcessor`].
    pub fn new(
        root: Option<Root>,
        request: FlushRequest,
        processors: &Processors,
    ) -> Result<Self, NoProcessor> {
        if *processors == Processors::NONE {
            return Err(NoProcessor);
        }
        let mut call = Self { control: 0, input: [0; WORDS], used: 0 };
        let simple = processors.valid() <= 1 && !processors.beyond;
        let spaces = if root.is_some() { 0 } else { ALL_SPACES };
        let all = if processors.beyond { ALL_PROCESSORS } else { 0 };
        call.push(root.map_or(0, Root::address));
        call.push(spaces | all);
        let mut banks = 0;
        if simple || processors.beyond {
            call.push(processors.banks[0]);
        } else {
            // A sparse set: format 0, the banks that follow, the banks.
            call.push(0);
            call.push(processors.valid());
            for bank in processors.banks.into_iter().filter(|&bank| bank != 0) {
                call.push(bank);
                banks += 1;
            }
        }
        let extended = !(simple || processors.beyond);
        let ranges = call.push_ranges(request);
        let code = match (ranges, extended) {
            (0, false) => FLUSH_SPACE,
            (0, true) => FLUSH_SPACE_EX,
            (_, false) => FLUSH_LIST,
            (_, true) => FLUSH_LIST_EX,
        };
        call.control = code | banks << 17 | ranges << 32;
        Ok(call)
    }

    /// The control word, for RCX.
    pub const fn control(&self) -> u64 {
        self.control
    }

    /// The input, from the start of a page.
    pub fn input(&self) -> &[u64] {
        &self.input[..self.used]
    }

    /// Reads the result of a call that was made with `control`, from RAX.
    pub const fn progress(control: u64, result: u64) -> Progress {
        let status = result as u16;
        let (count, completed) = (control >> 32 & 0xfff, result >> 32 & 0xfff);
        if status != 0 {
            Progress::EncodeError(status)
        } else if completed < count {
            Progress::Again(control & !(0xfff << 48) | completed << 48)
        } else {
            Progress::Done
        }
    }

    fn push(&mut self, word: u64) {
        self.input[self.used] = word;
        self.used += 1;
    }

    /// Adds the ranges that cover `request`, and says how many; none means everything.
    fn push_ranges(&mut self, request: FlushRequest) -> u64 {
        let Some(range) = request.range() else { return 0 };
        let mut left = small_pages(range);
        if request.syncs_contexts() || left > RANGE_PAGES * RANGES as u64 {
            return 0;
        }
        let (mut page, mut ranges) = (range.start().0 >> 12, 0);
        while left > 0 {
            let count = left.min(RANGE_PAGES);
            self.push(page << 12 | (count - 1));
            (page, left, ranges) = (page + count, left - count, ranges + 1);
        }
        ranges
    }
}

/// Pages of 4 KiB in a range.
fn small_pages(range: PageRange) -> u64 {
    range.count().saturating_mul(range.size().bytes() >> 12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shootdown::flush::{PageSize, VirtAddr};

    fn root() -> Option<Root> {
        Some(Root::new(0x7000).expect("a page's address"))
    }

    fn processors(list: &[(u32, u64)]) -> Processors {
        let mut set = Processors::NONE;
        list.iter().for_each(|&(first, bits)| set.add(CpuId::new(first), bits));
        set
    }

    fn pages(start: u64, count: u64, size: PageSize) -> FlushRequest {
        FlushRequest::pages(PageRange::new(VirtAddr(start), count, size).expect("a valid range"))
    }

    fn flush(root: Option<Root>, request: FlushRequest, processors: &Processors) -> FlushCall {
        FlushCall::new(root, request, processors).expect("a processor")
    }

    #[test]
    fn a_call_that_names_nobody_is_refused() {
        let nobody = |root| FlushCall::new(root, FlushRequest::all(), &Processors::NONE).err();
        assert_eq!([nobody(None), nobody(root())], [Some(NoProcessor); 2]);
        assert_eq!(
            flush(None, FlushRequest::all(), &Processors::ALL).input()[1],
            ALL_PROCESSORS | ALL_SPACES
        );
    }

    #[test]
    fn the_specifications_mask_of_processors_0_4_and_6() {
        let call = flush(root(), FlushRequest::all(), &processors(&[(0, 0x51)]));
        assert_eq!((call.control(), call.input()), (0x2, &[0x7000, 0, 0x51][..]));
    }

    #[test]
    fn a_range_counts_its_additional_pages_in_the_low_bits() {
        let call = flush(root(), pages(0x40_0000, 3, PageSize::Size4K), &processors(&[(0, 1)]));
        assert_eq!((call.control(), call.input()), (1 << 32 | 0x3, &[0x7000, 0, 1, 0x40_0002][..]));
        let large = flush(root(), pages(0x4000_0000, 16, PageSize::Size2M), &processors(&[(0, 1)]));
        assert_eq!(large.control(), 2 << 32 | 0x3);
        assert_eq!(large.input()[3..], [0x4000_0fff, 0x4100_0fff]);
    }

    #[test]
    fn processors_beyond_the_first_bank_take_a_sparse_set() {
        let call = flush(root(), pages(0x1000, 1, PageSize::Size4K), &processors(&[(0, 2), (128, 5)]));
        assert_eq!(call.control(), 1 << 32 | 2 << 17 | 0x14);
        assert_eq!(call.input(), [0x7000, 0, 0, 0b101, 2, 5, 0x1000]);
        let space = flush(root(), FlushRequest::all(), &processors(&[(64, 1)]));
        assert_eq!((space.control(), space.input()), (1 << 17 | 0x13, &[0x7000, 0, 0, 0b10, 1][..]));
    }

    #[test]
    fn what_does_not_fit_is_widened() {
        let many = pages(0, 4096 * 16 + 1, PageSize::Size4K);
        assert_eq!(flush(root(), many, &processors(&[(0, 1)])).control(), 0x2);
        let contexts = FlushRequest::contexts();
        assert_eq!(flush(root(), contexts, &processors(&[(0, 1)])).control(), 0x2);
        let huge = pages(0, 1 << 20, PageSize::Size1G);
        assert_eq!(flush(root(), huge, &processors(&[(0, 1)])).control(), 0x2);
        let far = flush(root(), FlushRequest::all(), &processors(&[(0, 1), (4096, 1)]));
        assert_eq!((far.control(), far.input()[1]), (0x2, ALL_PROCESSORS));
        let kernel = flush(None, FlushRequest::all(), &processors(&[(0, 3)]));
        assert_eq!(kernel.input(), [0, ALL_SPACES, 3]);
    }

    #[test]
    fn a_call_that_got_halfway_goes_on_where_it_stopped() {
        let control = 16 << 32 | 0x3;
        assert_eq!(FlushCall::progress(control, 16 << 32), Progress::Done);
        let again = control | 5 << 48;
        assert_eq!(FlushCall::progress(control, 5 << 32), Progress::Again(again));
        assert_eq!(FlushCall::progress(again, 9 << 32), Progress::Again(control | 9 << 48));
        assert_eq!(FlushCall::progress(control, 5), Progress::EncodeError(5));
        assert_eq!(FlushCall::progress(0x2, 0), Progress::Done);
    }
}
