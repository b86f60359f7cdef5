//! The sanitizer: what a platform tells it, and what it concludes.

use super::cpu::{Cover, Cpu, Flush, Found, Holder};
use super::removal::{AddressRange, Removal, Removals};
use super::verdict::{Kind, Missing, Tally, Verdict, Violation};
use super::words::{count, raise};
use crate::platform::{LocalFlush, OnInstall};
use crate::sync::{Word, fence};
use crate::types::{CpuId, FlushRequest, PageRange, SpaceId, Tag, VirtAddr};
use core::sync::atomic::Ordering;

/// A shadow of what the CPUs of one machine may hold, for up to `CPUS` CPUs, and of the latest `PENDING` removals.
///
/// [`Checked`](super::Checked) tells it all that happens. An embedder with a platform of its own can do so too: around
/// every flush and every root load comes a [`now`](Self::now) before and the method that says what was done after.
///
/// Nothing is allocated or locked. `CPUS` is a power of two.
#[derive(Debug)]
pub struct Sanitizer<V, const CPUS: usize, const PENDING: usize> {
    /// Number of the latest removal.
    clock: Word,
    /// Number of the latest removal whose frames were let go.
    released: Word,
    /// Number at the beginning of the latest flush of all tags on all CPUs.
    wiped: Word,
    /// Number at its end.
    wiped_by: Word,
    violations: Word,
    unchecked: Word,
    /// What each CPU has loaded, as a [`Holder`], close together for a CPU that looks at all.
    loaded: [Word; CPUS],
    /// Number up to which each CPU has flushed all that it holds under the tag that is loaded: while that is the
    /// latest, flushes of pages need not be remembered.
    quiet: [Word; CPUS],
    removals: Removals<PENDING>,
    cpus: [Cpu; CPUS],
    verdict: V,
}

/// Number of the latest removal at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl<V: Verdict, const CPUS: usize, const PENDING: usize> Sanitizer<V, CPUS, PENDING> {
    /// Makes the sanitizer of a machine on which nothing has happened yet.
    pub const fn new(verdict: V) -> Self {
        Self {
            clock: Word::new("clock", 0),
            released: Word::new("released", 0),
            wiped: Word::new("wiped", 0),
            wiped_by: Word::new("wiped by", 0),
            violations: Word::new("violations", 0),
            unchecked: Word::new("unchecked", 0),
            loaded: [const { Word::new("shadow", 0) }; CPUS],
            quiet: [const { Word::new("quiet", u64::MAX) }; CPUS],
            removals: Removals::new(),
            cpus: [const { Cpu::new() }; CPUS],
            verdict,
        }
    }

    /// Where a CPU's words are. The mask costs less than a check of bounds.
    #[inline(always)]
    const fn place(cpu: CpuId) -> usize {
        const { assert!(CPUS.is_power_of_two(), "a sanitizer is for 1, 2, 4, 8... CPUs") };
        cpu.index() & (CPUS - 1)
    }

    /// What was seen so far.
    pub fn tally(&self) -> Tally {
        Tally {
            removals: self.clock.load(Ordering::Relaxed),
            violations: self.violations.load(Ordering::Relaxed),
            unchecked: self.unchecked.load(Ordering::Relaxed),
        }
    }

    /// Whom it tells.
    pub const fn verdict(&self) -> &V {
        &self.verdict
    }
}

/// Whether a CPU that has the space of a removal loaded like this may reach what it took out.
#[inline]
fn reaches(loaded: Holder, removal: &Removal) -> bool {
    loaded.is_active() || removal.frees_tables
}

/// Entries or a root that are removed and given back.
impl<V: Verdict, const CPUS: usize, const PENDING: usize> Sanitizer<V, CPUS, PENDING> {
    /// Notes that `by` has taken translations out of the page tables of a space (of kernel memory where there is none),
    /// before it asks for their flush, and returns the number of the removal.
    #[inline(never)]
    pub fn removed(&self, by: CpuId, space: Option<SpaceId>, request: FlushRequest) -> u64 {
        // ORDER(SD-8): page-table stores before the number; a CPU that reads it and flushes then walks the new tables;
        // partner: `now`.
        let number = count(&self.clock);
        let removal = Removal::new(number, Removal::space_word(space), request, by);
        if self.removals.hold(&removal).is_err() {
            self.pass();
            return 0;
        }
        number
    }

    /// Checks that no CPU may use what removal `number` took out, which is about to be given back. For 0 nothing
    /// happens.
    #[inline(never)]
    pub fn released(&self, number: u64) {
        if number == 0 {
            return;
        }
        let Ok(removal) = self.removals.release(number) else { return self.pass() };
        raise(&self.released, number);
        // ORDER(SD-8): a CPU that begins to use the space looks for releases after it has said so, and this one looks at CPUs
        // after it has noted the release: one of the two sees the other; partner: `begun`.
        fence(Ordering::SeqCst);
        if removal.space == 0 {
            return self.released_kernel(&removal);
        }
        for (index, word) in self.loaded.iter().enumerate() {
            let loaded = Holder::from_word(word.load(Ordering::Acquire));
            if loaded.space() == removal.space && reaches(loaded, &removal) {
                // A mistake here makes it look again.
                if !self.cpus[index].has_flushed(&removal, loaded.tag()) {
                    self.look(&removal, index);
                }
            }
        }
    }

    #[cold]
    fn released_kernel(&self, removal: &Removal) {
        for (index, _) in self.cpus.iter().enumerate().filter(|(_, cpu)| cpu.is_online()) {
            self.settle(removal, Kind::GivenBack, index, None);
        }
    }

    /// Looks at a CPU that seems to have the space of a removal loaded. One that loads another root meanwhile looks for
    /// itself.
    #[cold]
    fn look(&self, removal: &Removal, index: usize) {
        let cpu = &self.cpus[index];
        let loaded = || Holder::from_word(self.loaded[index].load(Ordering::Acquire));
        let (turn, before) = (cpu.turn(), loaded());
        if before.space() != removal.space || !reaches(before, removal) {
            return;
        }
        let cover = cpu.cover(removal, Some(before.tag()), self.wiped.load(Ordering::Acquire));
        // ORDER(SD-8): what was read above before the second look; partners: `Cpu::load`, `installed`. The turn comes before the
        // word that it changes, so that word has to be the same too.
        fence(Ordering::Acquire);
        let after = loaded();
        if cpu.turn() == turn && after.idle() == before.idle() && reaches(after, removal) {
            self.conclude(removal, Kind::GivenBack, index, Some(before.tag()), cover);
        }
    }

    /// Checks that no CPU has the root of `space` loaded, which `by` is about to free.
    pub fn root_freed(&self, by: CpuId, space: SpaceId) {
        for (index, word) in self.loaded.iter().enumerate() {
            let loaded = Holder::from_word(word.load(Ordering::Acquire));
            if loaded.space() == space.number() {
                self.report(&Violation {
                    kind: Kind::RootFreed,
                    cpu: CpuId::new(index as u32),
                    tag: loaded.tag(),
                    space: Some(space),
                    pages: None,
                    frees_tables: true,
                    by,
                    number: 0,
                    missing: Missing::Eviction,
                });
            }
        }
    }

    fn settle(&self, removal: &Removal, kind: Kind, index: usize, tag: Option<Tag>) {
        let cover = self.cpus[index].cover(removal, tag, self.wiped.load(Ordering::Acquire));
        self.conclude(removal, kind, index, tag, cover);
    }

    #[inline]
    fn conclude(&self, removal: &Removal, kind: Kind, index: usize, tag: Option<Tag>, cover: Cover) {
        match cover {
            Cover::Flushed => {}
            Cover::Unknown => self.pass(),
            Cover::Missing => self.accuse(removal, kind, index, tag),
        }
    }

    #[cold]
    fn accuse(&self, removal: &Removal, kind: Kind, index: usize, tag: Option<Tag>) {
        let space = (removal.space != 0).then(|| SpaceId::new(removal.space));
        let span = removal.span;
        self.report(&Violation {
            kind,
            cpu: CpuId::new(index as u32),
            tag: tag.unwrap_or(Tag::NONE),
            space,
            pages: (span != AddressRange::ALL).then_some((VirtAddr(span.first), VirtAddr(span.last))),
            frees_tables: removal.frees_tables,
            by: removal.by,
            number: removal.number,
            missing: match (space, removal.frees_tables) {
                (None, _) => Missing::Kernel,
                (Some(_), false) => Missing::Pages,
                (Some(_), true) => Missing::PagesAndTables,
            },
        });
    }

    #[cold]
    fn report(&self, violation: &Violation) {
        count(&self.violations);
        self.verdict.violated(violation);
    }

    /// Counts a check that cannot be made.
    #[cold]
    fn pass(&self) {
        count(&self.unchecked);
    }
}

/// What CPUs do.
impl<V: Verdict, const CPUS: usize, const PENDING: usize> Sanitizer<V, CPUS, PENDING> {
    /// The moment, to be asked for before something is flushed or loaded.
    #[inline]
    pub fn now(&self) -> Moment {
        // ORDER(SD-8): the number before the flush and the walks that follow; partner: `removed`.
        Moment(self.clock.load(Ordering::Acquire))
    }

    /// Notes what `cpu`, which calls it, has flushed since `moment`. Interrupts are off.
    #[inline]
    pub fn flushed(&self, cpu: CpuId, what: LocalFlush, moment: Moment) {
        let quiet = &self.quiet[Self::place(cpu)];
        match what.request.range() {
            Some(_) if what.tag.is_some() && quiet.load(Ordering::Relaxed) == moment.0 => {}
            Some(range) => self.pages(cpu, range, what, moment),
            None => self.flushed_whole(cpu, what.tag, moment),
        }
    }

    /// Takes the range apart, so that what engines inline has it in registers.
    #[inline(always)]
    fn pages(&self, cpu: CpuId, range: PageRange, what: LocalFlush, moment: Moment) {
        let kind = Flush::code(0, what.tag, what.request.frees_tables()) << 8 | range.size() as u64;
        self.flushed_pages(cpu, range.start().0, range.count(), kind, moment);
    }

    #[cold]
    #[inline(never)]
    fn flushed_pages(&self, cpu: CpuId, first: u64, count: u64, kind: u64, moment: Moment) {
        let span = AddressRange::of_pages(first, count, kind as u8);
        self.cpus[Self::place(cpu)].remember(span, moment.0 << 18 | kind >> 8);
    }

    /// All under a tag was flushed, or everything.
    #[cold]
    #[inline(never)]
    fn flushed_whole(&self, cpu: CpuId, tag: Option<Tag>, moment: Moment) {
        let loaded = Holder::from_word(self.loaded[Self::place(cpu)].load(Ordering::Relaxed)).tag_if_any();
        let shadow = &self.cpus[Self::place(cpu)];
        match tag {
            Some(tag) => shadow.flush_tag(tag, moment.0, loaded),
            None => shadow.flush_everything(moment.0, loaded),
        }
        if loaded.is_some() && (tag.is_none() || tag == loaded) {
            self.quiet[Self::place(cpu)].store(moment.0, Ordering::Relaxed);
        }
    }

    /// Notes that `cpu`, which calls it, has loaded a root (or none for the kernel's own) since `moment`. Interrupts
    /// are off. Whose it is comes with [`begun`](Self::begun).
    #[inline]
    pub fn installed(&self, cpu: CpuId, root: bool, tag: Tag, how: OnInstall, moment: Moment) {
        let (shadow, word) = (&self.cpus[Self::place(cpu)], &self.loaded[Self::place(cpu)]);
        let before = Holder::from_word(word.load(Ordering::Relaxed));
        shadow.load(before, tag, how, moment.0, self.wiped_by.load(Ordering::Relaxed) != 0);
        let quiet = if how == OnInstall::Flush { moment.0 } else { u64::MAX };
        self.quiet[Self::place(cpu)].store(quiet, Ordering::Relaxed);
        let now = if root { Holder::nobody(tag).like(before) } else { Holder::NOTHING };
        // ORDER(SD-8): the new turn and what was flushed before the new word; partner: `look`.
        word.store(now.word(), Ordering::Release);
        // ORDER(SD-8): the hardware has left the old root before whatever the engine says next, be it relaxed (that
        // another tag is in use): a CPU that acts on that has to see the new word too; partner: `released`, and the
        // engine's fences before it.
        fence(Ordering::Release);
    }

    /// Notes that `cpu`, which calls it, begins to use `space`: it has loaded it, or it is no longer lazy. Checks that
    /// it has flushed what was given back meanwhile. Interrupts are off.
    #[inline]
    pub fn begun(&self, cpu: CpuId, space: SpaceId) {
        let word = &self.loaded[Self::place(cpu)];
        let own = Holder::from_word(word.load(Ordering::Relaxed)).idle().with(space.number());
        let Some(since) = self.cpus[Self::place(cpu)].begin(own) else {
            return self.take_over(cpu, space, own);
        };
        let since = since.load(Ordering::Relaxed);
        word.store(own.active().word(), Ordering::Release);
        // ORDER(SD-8): see `released`.
        fence(Ordering::SeqCst);
        if self.released.load(Ordering::Acquire) > since {
            self.look_back(cpu, space, own.tag());
        }
    }

    /// The same where the tag was last another space's, or is not remembered: now it is this one's.
    #[cold]
    #[inline(never)]
    fn take_over(&self, cpu: CpuId, space: SpaceId, own: Holder) {
        self.register(cpu, space, own);
        self.begun(cpu, space);
    }

    /// Notes that `cpu`, which calls it, has moved what it had loaded to another tag. Interrupts are off.
    #[inline]
    pub fn moved(&self, cpu: CpuId, space: SpaceId) {
        let word = &self.loaded[Self::place(cpu)];
        let before = Holder::from_word(word.load(Ordering::Relaxed));
        if before.space() == 0 {
            let own = before.idle().with(space.number());
            self.register(cpu, space, own);
            word.store(own.like(before).word(), Ordering::Release);
        }
    }

    /// Learns whose the root is that was loaded last.
    fn register(&self, cpu: CpuId, space: SpaceId, own: Holder) {
        let shadow = &self.cpus[Self::place(cpu)];
        if shadow.begin(own).is_some() {
            return;
        }
        let found = shadow.take_over(own, self.now().0, self.wiped_by.load(Ordering::Acquire));
        if let Found::Others(other) = found {
            self.taken(cpu, space, own.tag(), other);
        }
    }

    #[cold]
    fn taken(&self, cpu: CpuId, space: SpaceId, tag: Tag, other: u64) {
        self.report(&Violation {
            kind: Kind::TagTaken(SpaceId::new(other)),
            cpu,
            tag,
            space: Some(space),
            pages: None,
            frees_tables: false,
            by: cpu,
            number: 0,
            missing: Missing::Tag,
        });
    }

    #[cold]
    #[inline(never)]
    fn look_back(&self, cpu: CpuId, space: SpaceId, tag: Tag) {
        self.removals.each_released(space.number(), |removal| {
            self.settle(removal, Kind::CameBack, Self::place(cpu), Some(tag));
        });
    }

    /// Notes that no user code runs on `cpu`, which calls it, until it has [`begun`](Self::begun) to use a space.
    #[inline]
    pub fn idle(&self, cpu: CpuId) {
        let word = &self.loaded[Self::place(cpu)];
        let loaded = Holder::from_word(word.load(Ordering::Relaxed));
        word.store(loaded.idle().word(), Ordering::Release);
    }

    /// Notes that `cpu`, which calls it, uses kernel memory from now on. Checks that it has flushed what was given back
    /// meanwhile.
    ///
    /// # Panics
    /// Where there is no room for that CPU: its flushes would count as another's.
    pub fn online(&self, cpu: CpuId) {
        assert!(
            cpu.index() < CPUS,
            "{cpu} comes on line under a sanitizer of {CPUS} CPUs; make the sanitizer larger"
        );
        let shadow = &self.cpus[Self::place(cpu)];
        shadow.set_online(true);
        // ORDER(SD-8): as in `begun`.
        fence(Ordering::SeqCst);
        self.removals.each_released(0, |removal| {
            self.settle(removal, Kind::CameBack, Self::place(cpu), None);
        });
    }

    /// Notes that `cpu`, which calls it, uses no kernel memory that may be unmapped until it is
    /// [`online`](Self::online).
    pub fn offline(&self, cpu: CpuId) {
        self.cpus[Self::place(cpu)].set_online(false);
    }

    /// Notes that `cpu` is certain to flush everything before it next translates anything
    /// ([`Platform::needs_ack`](crate::Platform::needs_ack) is about to answer `false`, or
    /// [`Platform::flush_on_entry`](crate::Platform::flush_on_entry) `true`). Anybody may say so.
    #[inline]
    pub fn excused(&self, cpu: CpuId) {
        self.cpus[Self::place(cpu)].excuse(self.now().0);
    }

    /// Notes that a broadcast since `moment` has reached what `request` covers of what all CPUs hold under `tag` (under
    /// any tag, where none is named).
    pub fn broadcast(&self, space: Option<SpaceId>, tag: Option<Tag>, request: FlushRequest, moment: Moment) {
        self.removals.reach(Removal::space_word(space), request, tag, moment.0);
    }

    /// Runs `flush`, which drops user translations of all CPUs under every tag, and notes that: what a
    /// [`TagBroadcast`](crate::tags::TagBroadcast) does has to go through here, since no platform sees it.
    pub fn wiping<R>(&self, flush: impl FnOnce() -> R) -> R {
        let number = self.now().0;
        let answer = flush();
        raise(&self.wiped, number);
        // A number of its own, so that it is later than whatever CPUs have left before.
        raise(&self.wiped_by, count(&self.clock));
        answer
    }
}
