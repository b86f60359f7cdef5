//! Fences that a guest asks for, on the harts that it names.

use crate::MAX_CPUS;
use crate::host::Hosted;
use crate::ipi::{Call, Calls};
use crate::machine::Machine;
use crate::this_cpu::ThisCpu;
use shootdown::CpuId;
use shootdown::flush::{PageRange, PageSize, VirtAddr};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Fences that a CPU outside guest code collects before it drops everything instead.
const MOST: usize = 8;
const WORDS: usize = MAX_CPUS / 64;

/// What a guest wants dropped of its own translations: `sfence.vma`, SBI's remote fences, a guest's TLBI or INVLPG.
///
/// # Examples
/// ```
/// use shootdown_host::Fence;
/// use shootdown_host::shootdown::flush::{PageRange, VirtAddr};
///
/// let fence = Fence::bytes(0x1800, 0x1000).in_space(7);
/// assert_eq!((fence.range.map(|range| range.count()), fence.asid), (Some(2), Some(7)));
/// assert_eq!(Fence::bytes(0, 0), Fence::ALL); // SBI: the whole space
/// assert_eq!(Fence::bytes(0x1000, u64::MAX), Fence::ALL); // what does not fit is widened
/// assert_eq!(Fence::pages(PageRange::page(VirtAddr(0x1800))), Fence::bytes(0x1000, 0x1000));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The pages; nothing for everything.
    pub range: Option<PageRange>,
    /// Which of the guest's own address spaces (an ASID, a PCID), or all.
    pub asid: Option<u16>,
}

impl Fence {
    /// Everything, in all of the guest's address spaces.
    pub const ALL: Self = Self { range: None, asid: None };

    /// The leaves that have an address in `range`.
    pub const fn pages(range: PageRange) -> Self {
        Self { range: Some(range), asid: None }
    }

    /// The leaves that have one of `size` bytes from `start`, as SBI's remote fences say it: 0 and 0, and a size of all ones,
    /// mean everything. Whatever a guest writes there has a meaning; a range that does not fit becomes everything.
    pub fn bytes(start: u64, size: u64) -> Self {
        let first = start & !0xfff;
        let pages = size.checked_add(start & 0xfff).map(|bytes| bytes.div_ceil(4096));
        let range = pages.filter(|_| (start | size) != 0);
        let range = range.and_then(|pages| PageRange::new(VirtAddr(first), pages, PageSize::Size4K).ok());
        range.map_or(Self::ALL, Self::pages)
    }

    /// In one of the guest's address spaces alone.
    #[must_use]
    pub const fn in_space(self, asid: u16) -> Self {
        Self { range: self.range, asid: Some(asid) }
    }
}

/// Fences that a CPU has not carried out yet.
///
/// ```text
///   sender                       target
///   posts, asked += 1            in_guest := true
///   full fence                   full fence
///   reads in_guest               reads asked
/// ```
/// So the sender sees the target in guest code and waits for it, or the target sees the fence before it uses a translation,
/// or both.
#[derive(Debug, Default)]
pub(crate) struct FenceBox {
    asked: AtomicU64,
    done: AtomicU64,
    waiting: Mutex<Vec<Fence>>,
}

impl FenceBox {
    /// Posts a fence, and returns its number.
    fn post(&self, fence: Fence) -> u64 {
        let mut waiting = self.lock();
        if waiting.len() == MOST {
            waiting.clear();
            waiting.push(Fence::ALL);
        } else {
            waiting.push(fence);
        }
        // ORDER: relaxed; the lock orders it against `serve`, and the fences of the drawing against `in_guest`.
        let number = self.asked.load(Ordering::Relaxed) + 1;
        self.asked.store(number, Ordering::Relaxed);
        number
    }

    /// Whether there are any. Their CPU asks.
    pub(crate) fn is_waiting(&self) -> bool {
        // ORDER: relaxed; behind the full fence of `Host::enter_guest` where it decides.
        self.asked.load(Ordering::Relaxed) != self.done.load(Ordering::Relaxed)
    }

    /// Carries them out on their CPU. The TLB is borrowed before they are taken, so that a panic loses none.
    pub(crate) fn serve(&self, this_cpu: &ThisCpu) {
        this_cpu.with_tlb(|tlb| {
            let mut locked = self.lock();
            if !self.is_waiting() {
                return;
            }
            let asked = self.asked.load(Ordering::Relaxed);
            let waiting = std::mem::take(&mut *locked);
            drop(locked);
            if waiting.is_empty() {
                // The TLB has panicked over them before.
                tlb.fence(Fence::ALL);
            }
            waiting.into_iter().for_each(|fence| tlb.fence(fence));
            // ORDER(SD-6): uses of what was dropped come before the sender goes on; partner: `is_done`.
            self.done.store(asked, Ordering::Release);
        });
    }

    fn is_done(&self, number: u64) -> bool {
        // ORDER(SD-8): what the target did with it is over; partner: `serve`.
        self.done.load(Ordering::Acquire) >= number
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fence>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hart that a guest has named and the machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchHart {
    /// Its number.
    pub hart: u64,
    /// How many the machine has.
    pub harts: u32,
}

impl fmt::Display for NoSuchHart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hart, harts } = self;
        write!(
            f,
            "hart {hart} is not among the machine's {harts}, which are numbered from 0; answer the guest that its hart mask \
             is invalid"
        )
    }
}

impl std::error::Error for NoSuchHart {}

/// Virtual CPUs of a machine that its guest has named in a hart mask; see [`Machine::harts`].
pub struct Harts<'m, P: Hosted> {
    machine: &'m Machine<P::Root, P>,
    bits: [u64; WORDS],
}

impl<R: Copy + Send + Sync, P: Hosted<Root = R>> Machine<R, P> {
    /// The harts that a guest names by a mask, as SBI does: bit n of `mask` is hart `base + n`, and a base of all ones means
    /// every hart.
    ///
    /// # Errors
    /// [`NoSuchHart`].
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::{Machine, NoSuchHart};
    ///
    /// let machine = Machine::<u64>::new(4)?;
    /// let named: Vec<u32> = machine.harts(0b101, 1).map(|harts| harts.iter().map(|cpu| cpu.number()).collect())?;
    /// assert_eq!(named, [1, 3]);
    /// assert_eq!(machine.harts(0, u64::MAX).map(|harts| harts.iter().count()), Ok(4));
    /// assert_eq!(machine.harts(1, 4).err(), Some(NoSuchHart { hart: 4, harts: 4 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn harts(&self, mask: u64, base: u64) -> Result<Harts<'_, P>, NoSuchHart> {
        let harts = self.virtual_cpus();
        let mut bits = [0; WORDS];
        let mut name = |hart: u64| match hart < u64::from(harts) {
            true => {
                bits[hart as usize / 64] |= 1 << (hart % 64);
                Ok(())
            }
            false => Err(NoSuchHart { hart, harts }),
        };
        if base == u64::MAX {
            (0..u64::from(harts)).try_for_each(&mut name)?;
        } else {
            (0..64).filter(|bit| mask >> bit & 1 == 1).try_for_each(|bit| name(base.saturating_add(bit)))?;
        }
        Ok(Harts { machine: self, bits })
    }
}

impl<P: Hosted> Harts<'_, P> {
    /// The harts, as CPUs of the engine.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        (0..MAX_CPUS as u32).map(CpuId::new).filter(|&cpu| self.contains(cpu))
    }

    /// Whether this is one of them.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.bits.get(cpu.index() / 64).is_some_and(|word| word >> (cpu.index() % 64) & 1 == 1)
    }

    /// Has these harts, and no others, drop translations of the guest's own, and returns when none of them can use one any
    /// more. The calling thread is a CPU of the machine or a helper. It waits for harts in guest code, and serves others
    /// meanwhile; a hart outside guest code drops them before it comes back.
    ///
    /// # When this is sound
    /// The guest decides which harts hold a translation that it has changed. If it is wrong, one of its harts goes on with a
    /// stale translation, and that must be all: **what a stale translation reaches must be memory that the engine protects, or
    /// the guest's alone.** So it holds where a TLB has guest-virtual entries that lead to guest-physical addresses, which are
    /// translated once more by entries that the engine flushes (`examples/emulator`). It also holds where entries lead from
    /// guest-virtual addresses to host memory, as in most translators, if the TLB drops those for every flush of the engine
    /// whose space they were made from ([`Tlb::flush`](crate::Tlb::flush) promises that of everything that is derived).
    ///
    /// The engine takes no part. No generation changes, no CPU acknowledges, and no frame or table may be reused because a
    /// fence has returned: unmap what belongs to the host through a [`Gather`](shootdown::flush::Gather), whatever the guest
    /// fences. A later [`flush_kernel`](shootdown::Shootdown::flush_kernel) still reaches every CPU.
    ///
    /// # Panics
    /// The calling thread is no CPU of the machine, or has the TLB of its CPU borrowed.
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::shootdown::flush::VirtAddr;
    /// use shootdown_host::{Fence, Leaf, Machine, NoSuchHart, SoftTlb};
    ///
    /// let machine = Machine::new(2)?;
    /// let space = machine.new_space(0);
    /// let mut cpu = machine.virtual_cpu(0, SoftTlb::new(16)).expect("a free CPU");
    /// cpu.run(&space, |guest| {
    ///     guest.tlb().insert(VirtAddr(0x5000), Leaf::page(7));
    ///     machine.harts(0b10, 0)?.fence(Fence::bytes(0x5000, 4096)); // hart 1 alone, which is outside guest code
    ///     assert_eq!(guest.tlb().get(VirtAddr(0x5000)), Some(7));
    ///     machine.harts(0b11, 0)?.fence(Fence::bytes(0x5000, 4096));
    ///     assert_eq!(guest.tlb().get(VirtAddr(0x5000)), None);
    ///     Ok::<(), NoSuchHart>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fence(&self, what: Fence) {
        let host = self.machine.host();
        let this_cpu = host.this_cpu();
        let me = this_cpu.cpu;
        if self.contains(me) {
            this_cpu.fence(what);
        }
        let mut posted = [0; MAX_CPUS];
        for cpu in self.iter().filter(|&cpu| cpu != me) {
            posted[cpu.index()] = host.at(cpu).fences.post(what);
        }
        // ORDER(SD-5): see the drawing at `FenceBox`; partner: the fence in `Host::enter_guest`.
        fence(Ordering::SeqCst);
        for cpu in self.iter().filter(|&cpu| cpu != me && host.is_in_guest(cpu)) {
            host.call(cpu, Call::Fence);
        }
        for cpu in self.iter().filter(|&cpu| cpu != me) {
            self.wait_for(&this_cpu, cpu, posted[cpu.index()]);
        }
    }

    /// Waits until `cpu` has carried out fence `number` or is outside guest code.
    fn wait_for(&self, this_cpu: &std::rc::Rc<ThisCpu>, cpu: CpuId, number: u64) {
        let platform = self.machine.platform();
        let host = self.machine.host();
        let mut polls = 0;
        while !host.at(cpu).fences.is_done(number) && host.is_in_guest(cpu) {
            // Others may wait for this CPU: for its answer to a flush of the engine, or for a fence of theirs (SD-11).
            self.machine.answer(this_cpu, Calls::IN_WAITS);
            polls += 1;
            platform.relax(polls);
            if polls % P::STALL_POLLS == 0 {
                platform.stalled(cpu, polls);
                host.call(cpu, Call::Fence);
            }
        }
    }
}

impl<P: Hosted> fmt::Debug for Harts<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
