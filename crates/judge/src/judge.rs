//! The judge: what a platform tells it, and what it concludes.

use crate::cpu::{Cover, Cpu, Found};
use crate::removal::{Removal, Removals, Span};
use crate::sync::{Word, fence};
use crate::verdict::{Kind, Missing, Tally, Verdict, Violation};
use core::sync::atomic::Ordering;
use shootdown::{CpuId, LocalFlush, OnInstall, Scope, SpaceId, Tables, Tag, VirtAddr};

/// A shadow of what the CPUs of one machine may hold, for up to `CPUS` CPUs, and of the latest `PENDING` removals.
///
/// [`Checked`](crate::Checked) tells it all that happens. An embedder with a platform of its own can do so too: around
/// every flush and every root load comes a [`now`](Self::now) before and the method that says what was done after.
///
/// Nothing is allocated or locked. CPUs beyond `CPUS` are not watched.
#[derive(Debug)]
pub struct Judge<V, const CPUS: usize, const PENDING: usize> {
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
    /// [`Loaded`] of each CPU, close together for whoever looks at all.
    loaded: [Word; CPUS],
    removals: Removals<PENDING>,
    cpus: [Cpu; CPUS],
    verdict: V,
}

/// Number of the latest removal at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

/// What a CPU has loaded: space, tag, and how. 0 for nothing. Without a space: between two.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Loaded(u64);

impl Loaded {
    const NOTHING: Loaded = Loaded(0);
    /// User code may use what is loaded.
    const ACTIVE: u64 = 1;
    const BETWEEN: u64 = 2;

    #[inline]
    const fn new(space: u64, tag: Tag) -> Self {
        Loaded(space << 18 | (tag.number() as u64) << 2)
    }
    #[inline]
    const fn space(self) -> u64 {
        self.0 >> 18
    }
    #[inline]
    const fn tag(self) -> Tag {
        Tag::new((self.0 >> 2) as u16)
    }
    #[inline]
    const fn active(self) -> Self {
        Loaded(self.0 | Self::ACTIVE)
    }
    #[inline]
    const fn is_active(self) -> bool {
        self.0 & Self::ACTIVE != 0
    }
    #[inline]
    const fn is_between(self) -> bool {
        self.0 & Self::BETWEEN != 0
    }
    /// The tag, where anything is loaded.
    #[inline]
    const fn tag_if_any(self) -> Option<Tag> {
        if self.0 == 0 { None } else { Some(self.tag()) }
    }
    /// What follows: a root under `tag`, of which it is not known whose it is.
    #[inline]
    const fn then(self, tag: Tag) -> Self {
        Loaded(Loaded::new(0, tag).0 | Self::BETWEEN | self.0 & Self::ACTIVE)
    }
}

impl<V: Verdict, const CPUS: usize, const PENDING: usize> Judge<V, CPUS, PENDING> {
    /// Makes the judge of a machine on which nothing has happened yet.
    pub const fn new(verdict: V) -> Self {
        Self {
            clock: Word::new("clock", 0),
            released: Word::new("released", 0),
            wiped: Word::new("wiped", 0),
            wiped_by: Word::new("wiped by", 0),
            violations: Word::new("violations", 0),
            unchecked: Word::new("unchecked", 0),
            loaded: [const { Word::new("shadow", 0) }; CPUS],
            removals: Removals::new(),
            cpus: [const { Cpu::new() }; CPUS],
            verdict,
        }
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

/// What is removed and given back.
impl<V: Verdict, const CPUS: usize, const PENDING: usize> Judge<V, CPUS, PENDING> {
    /// Notes that `by` has taken translations out of the page tables of a space (of kernel memory where there is none),
    /// before it asks for their flush, and returns the number of the removal.
    #[inline]
    pub fn removed(&self, by: CpuId, space: Option<SpaceId>, scope: Scope, tables: Tables) -> u64 {
        // ORDER: page-table stores before the number; who reads it and flushes then walks the new tables; partner: `now`.
        let number = self.clock.add(1) + 1;
        let removal = Removal::new(number, Removal::space_word(space), Span::of(scope), tables, by);
        if self.removals.hold(&removal).is_err() {
            self.pass();
            return 0;
        }
        number
    }

    /// Checks that no CPU may use what removal `number` took out, which is about to be given back. For 0 nothing happens.
    #[inline]
    pub fn released(&self, number: u64) {
        if number == 0 {
            return;
        }
        let Ok(removal) = self.removals.release(number) else { return self.pass() };
        crate::sync::raise(&self.released, number);
        // ORDER: a CPU that begins to use the space looks for releases after it has said so, and this one looks at CPUs
        // after it has noted the release: one of the two sees the other; partner: `begun`.
        fence(Ordering::SeqCst);
        for (index, (word, cpu)) in self.loaded.iter().zip(&self.cpus).enumerate() {
            let loaded = Loaded(word.load(Ordering::Acquire));
            if removal.space == 0 {
                if cpu.is_online() {
                    self.settle(&removal, Kind::GivenBack, index, None, cpu.clean());
                }
            } else if loaded.space() == removal.space {
                self.look(&removal, index);
            }
        }
    }

    /// Looks at a CPU that has the space of a removal loaded. One that loads another root meanwhile looks for itself.
    #[inline(never)]
    fn look(&self, removal: &Removal, index: usize) {
        let cpu = &self.cpus[index];
        let turn = cpu.turn();
        let reaches = |loaded: Loaded| {
            loaded.space() == removal.space && (loaded.is_active() || removal.tables == Tables::Freed)
        };
        let loaded = Loaded(self.loaded[index].load(Ordering::Acquire));
        if !reaches(loaded) {
            return;
        }
        let clean = cpu.clean_tag(loaded.tag(), self.wiped.load(Ordering::Acquire));
        let cover = cpu.cover(removal, Some(loaded.tag()), clean);
        if cover == Cover::Flushed {
            return;
        }
        // ORDER: what was read above before the second look; partners: `Cpu::load`, `installed`. The turn comes before the
        // word that it changes, so that word has to be the same too.
        fence(Ordering::Acquire);
        if cpu.turn() == turn && reaches(Loaded(self.loaded[index].load(Ordering::Relaxed))) {
            self.conclude(removal, Kind::GivenBack, index, Some(loaded.tag()), cover);
        }
    }

    /// Checks that no CPU has the root of `space` loaded, which `by` is about to free.
    pub fn root_freed(&self, by: CpuId, space: SpaceId) {
        for (index, word) in self.loaded.iter().enumerate() {
            let loaded = Loaded(word.load(Ordering::Acquire));
            if loaded.space() == space.number() {
                self.report(&Violation {
                    kind: Kind::RootFreed,
                    cpu: CpuId::new(index as u32),
                    tag: loaded.tag(),
                    space: Some(space),
                    pages: None,
                    tables: Tables::Freed,
                    by,
                    number: 0,
                    missing: Missing::Eviction,
                });
            }
        }
    }

    fn settle(&self, removal: &Removal, kind: Kind, index: usize, tag: Option<Tag>, clean: u64) {
        let cover = self.cpus[index].cover(removal, tag, clean);
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
            pages: (span != Span::ALL).then_some((VirtAddr(span.first), VirtAddr(span.last))),
            tables: removal.tables,
            by: removal.by,
            number: removal.number,
            missing: match (space, removal.tables) {
                (None, _) => Missing::Kernel,
                (Some(_), Tables::Kept) => Missing::Pages,
                (Some(_), Tables::Freed) => Missing::PagesAndTables,
            },
        });
    }

    #[cold]
    fn report(&self, violation: &Violation) {
        self.violations.add(1);
        self.verdict.violated(violation);
    }

    /// Counts a check that cannot be made.
    #[cold]
    fn pass(&self) {
        self.unchecked.add(1);
    }
}

/// What CPUs do.
impl<V: Verdict, const CPUS: usize, const PENDING: usize> Judge<V, CPUS, PENDING> {
    /// The moment, to be asked for before something is flushed or loaded.
    #[inline]
    pub fn now(&self) -> Moment {
        // ORDER: the number before the flush and the walks that follow; partner: `removed`.
        Moment(self.clock.load(Ordering::Acquire))
    }

    /// Notes what `cpu`, which calls it, has flushed since `moment`. Interrupts are off.
    #[inline]
    pub fn flushed(&self, cpu: CpuId, what: LocalFlush, moment: Moment) {
        let Some(shadow) = self.cpus.get(cpu.index()) else { return };
        let loaded = Loaded(self.loaded[cpu.index()].load(Ordering::Relaxed));
        shadow.flush(what, moment.0, loaded.tag_if_any());
    }

    /// Notes that `cpu`, which calls it, has loaded a root (or none for the kernel's own) since `moment`. Interrupts are off.
    /// Whose it is comes with [`begun`](Self::begun).
    #[inline]
    pub fn installed(&self, cpu: CpuId, root: bool, tag: Tag, how: OnInstall, moment: Moment) {
        let Some(shadow) = self.cpus.get(cpu.index()) else { return };
        let word = &self.loaded[cpu.index()];
        let before = Loaded(word.load(Ordering::Relaxed));
        shadow.load(before.tag_if_any(), tag, how, moment.0);
        let now = if root { before.then(tag) } else { Loaded::NOTHING };
        // ORDER: the new turn and what was flushed before the new word; partner: `look`.
        word.store(now.0, Ordering::Release);
    }

    /// Notes that `cpu`, which calls it, begins to use `space`: it has loaded it, or it is no longer lazy. Checks that it
    /// has flushed what was given back meanwhile. Interrupts are off.
    #[inline]
    pub fn begun(&self, cpu: CpuId, space: SpaceId) {
        let Some(word) = self.loaded.get(cpu.index()) else { return };
        let loaded = Loaded(word.load(Ordering::Relaxed));
        let known = loaded.space() == space.number();
        let loaded = if known { loaded } else { self.adopt(cpu, space, loaded.tag()) };
        word.store(loaded.active().0, Ordering::Release);
        // ORDER: see `released`.
        fence(Ordering::SeqCst);
        let clean = self.cpus[cpu.index()].clean_tag(loaded.tag(), self.wiped.load(Ordering::Relaxed));
        if self.released.load(Ordering::Acquire) > clean {
            self.look_back(cpu, space, loaded.tag(), clean);
        }
    }

    /// Notes that `cpu`, which calls it, has moved what it had loaded to another tag. Interrupts are off.
    #[inline]
    pub fn moved(&self, cpu: CpuId, space: SpaceId) {
        let Some(word) = self.loaded.get(cpu.index()) else { return };
        let before = Loaded(word.load(Ordering::Relaxed));
        if before.is_between() {
            let loaded = self.adopt(cpu, space, before.tag());
            let loaded = if before.is_active() { loaded.active() } else { loaded };
            word.store(loaded.0, Ordering::Release);
        }
    }

    /// Learns whose the root is that was loaded last.
    #[inline]
    fn adopt(&self, cpu: CpuId, space: SpaceId, tag: Tag) -> Loaded {
        let shadow = &self.cpus[cpu.index()];
        let found = shadow.begin(space.number(), tag, self.now().0, self.wiped_by.load(Ordering::Acquire));
        if let Found::Others(other) = found {
            self.taken(cpu, space, tag, other);
        }
        Loaded::new(space.number(), tag)
    }

    #[cold]
    fn taken(&self, cpu: CpuId, space: SpaceId, tag: Tag, other: u64) {
        self.report(&Violation {
            kind: Kind::TagTaken(SpaceId::new(other)),
            cpu,
            tag,
            space: Some(space),
            pages: None,
            tables: Tables::Kept,
            by: cpu,
            number: 0,
            missing: Missing::Tag,
        });
    }

    #[cold]
    #[inline(never)]
    fn look_back(&self, cpu: CpuId, space: SpaceId, tag: Tag, clean: u64) {
        self.removals.each_released(space.number(), clean, |removal| {
            self.settle(removal, Kind::CameBack, cpu.index(), Some(tag), clean);
        });
    }

    /// Notes that no user code runs on `cpu`, which calls it, until it has [`begun`](Self::begun) to use a space.
    #[inline]
    pub fn idle(&self, cpu: CpuId) {
        let Some(word) = self.loaded.get(cpu.index()) else { return };
        word.store(word.load(Ordering::Relaxed) & !Loaded::ACTIVE, Ordering::Release);
    }

    /// Notes that `cpu`, which calls it, uses kernel memory from now on. Checks that it has flushed what was given back
    /// meanwhile.
    pub fn online(&self, cpu: CpuId) {
        let Some(shadow) = self.cpus.get(cpu.index()) else { return };
        shadow.set_online(true);
        // ORDER: as in `begun`.
        fence(Ordering::SeqCst);
        let clean = shadow.clean();
        self.removals.each_released(0, clean, |removal| {
            self.settle(removal, Kind::CameBack, cpu.index(), None, clean);
        });
    }

    /// Notes that `cpu`, which calls it, uses no kernel memory that may be unmapped until it is [`online`](Self::online).
    pub fn offline(&self, cpu: CpuId) {
        if let Some(shadow) = self.cpus.get(cpu.index()) {
            shadow.set_online(false);
        }
    }

    /// Notes that `cpu` is certain to flush everything before it next translates anything
    /// ([`Platform::must_wait`](shootdown::Platform::must_wait) is about to answer `false`, or
    /// [`Platform::defer`](shootdown::Platform::defer) `true`). Anybody may say so.
    #[inline]
    pub fn excused(&self, cpu: CpuId) {
        if let Some(shadow) = self.cpus.get(cpu.index()) {
            shadow.excuse(self.now().0);
        }
    }

    /// Notes that a broadcast since `moment` has reached what all CPUs hold of `scope` under `tag` (under any tag, where none is
    /// named).
    pub fn broadcast(
        &self,
        space: Option<SpaceId>,
        tag: Option<Tag>,
        scope: Scope,
        tables: Tables,
        moment: Moment,
    ) {
        self.removals.reach(Removal::space_word(space), Span::of(scope), tables, tag, moment.0);
    }

    /// Runs `flush`, which drops user translations of all CPUs under every tag, and notes that: what a
    /// [`TagBroadcast`](shootdown::TagBroadcast) does has to go through here, since no platform sees it.
    pub fn wiping<R>(&self, flush: impl FnOnce() -> R) -> R {
        let number = self.now().0;
        let answer = flush();
        crate::sync::raise(&self.wiped, number);
        // A number of its own, so that it is later than whatever CPUs have left before.
        crate::sync::raise(&self.wiped_by, self.clock.add(1) + 1);
        answer
    }
}
