//! The ports of the simulated machine.

use crate::boot::Boot;
use crate::iommu::Queue;
use crate::size::{Layout, PAGES, TAGS};
use shootdown::flush::Levels;
use shootdown::ports::{Broadcasts, Entries, FlushCalls, HOST_FLUSHES, HOST_PREEMPTED, Host, Ports};
use shootdown_explore::sync::{self, Word};
use shootdown_machine::hw::{self, Install, WalkCache, Which, Whose};
use shootdown_machine::{Machine, space_name};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// How it is said that a method lets interrupts in which is called with them off.
pub(crate) const LET_IN: &str = "interrupts are turned on inside";

/// Interrupt line of the IPI.
pub(crate) const IPI: u8 = 0;
/// Interrupt line at which the hypervisor takes a virtual CPU off.
pub(crate) const HOST: u8 = 1;
/// Interrupt line at which a page-table store, which had left the CPU, reaches the walkers.
pub(crate) const ARRIVAL: u8 = 2;
/// Interrupt line by which the IOMMU is told that there are commands.
pub(crate) const COMMANDS: u8 = 3;

/// How adverse the machine is, within what a platform must allow for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Profile {
    /// Drops and root writes take effect when they are waited for, and no sooner.
    pub(crate) late: bool,
    /// What the root register holds can be asked.
    pub(crate) registers: bool,
    /// An interrupt may overtake the stores before it.
    pub(crate) overtaking: bool,
    /// A page-table store may reach walkers after everything that its CPU does next.
    pub(crate) slow_tables: bool,
    /// Interrupts that are turned on inside a method that is called with them off are noticed.
    pub(crate) watches_context: bool,
}

impl Profile {
    pub(crate) const PLAIN: Profile = Profile {
        late: false,
        registers: false,
        overtaking: false,
        slow_tables: false,
        watches_context: false,
    };
}

/// The simulated machine, as ports.
#[derive(Clone, Copy, Debug)]
pub struct Sim(pub(crate) &'static Wires);

thread_local! {
    /// The machine whose code runs on this thread.
    static RUNS: Cell<Option<Sim>> = const { Cell::new(None) };
}

impl Sim {
    /// The machine whose code runs on this thread, for the crate that stands in for an arch crate.
    ///
    /// # Panics
    /// If no platform is being examined.
    pub fn running() -> Self {
        RUNS.get().expect("instructions of a simulated machine are for platforms that the doctor examines")
    }

    /// How many CPUs the machine has.
    pub fn cpus(self) -> u32 {
        self.0.vcpus.len() as u32
    }

    /// Writes the root register of a machine whose software reads it back, and drops nothing.
    #[track_caller]
    pub fn write_register(self, root: u64, tag: u16) {
        self.write_root(root, tag, Entries::Kept);
        self.0.registers[self.this_cpu() as usize].store(register(Self::space_of(root), tag), Relaxed);
    }

    /// The tag that was written last by [`write_register`](Self::write_register).
    pub fn register_tag(self) -> u16 {
        (self.0.registers[self.this_cpu() as usize].load(Relaxed) >> 8) as u16
    }

    /// Names the root whose tables a software walker reads after the next [`load_walk_root`](Self::load_walk_root).
    pub fn walk_root(self, root: u64) {
        self.0.walk_roots[self.this_cpu() as usize].store(root, Relaxed);
    }

    /// Loads the root that was named last, under a tag whose entries are dropped or kept.
    #[track_caller]
    pub fn load_walk_root(self, tag: u16, flush: bool) {
        let root = self.0.walk_roots[self.this_cpu() as usize].load(Relaxed);
        self.write_root(root, tag, if flush { Entries::Dropped } else { Entries::Kept });
    }

    /// From now on this thread runs code of this machine.
    pub(crate) fn enter(self) {
        RUNS.set(Some(self));
    }
}

/// State that CPUs share besides page tables and the platform's own words.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) profile: Profile,
    /// Most pages that the platform has dropped one by one.
    pub(crate) ceiling: u64,
    /// Pages of kernel memory.
    kernel_pages: usize,
    /// What CPUs did before the exploration began.
    pub(crate) boot: Boot,
    pub(crate) machine: OnceLock<Machine>,
    /// Per CPU: what its root register holds, as [`register`] has it.
    registers: Vec<Word>,
    /// Per CPU: the root that a software walker is to read.
    walk_roots: Vec<Word>,
    /// Per CPU: what it began and did not wait for, 16 bits each, oldest lowest.
    begun: Vec<Word>,
    /// The same for broadcasts.
    casts: Vec<Word>,
    /// Per CPU: 1 where its stores are ordered before its next interrupts. What it does for a flush itself ends that.
    ordered: Vec<Word>,
    /// Per CPU: 1 while a method runs that was called with interrupts off.
    inside: Vec<Word>,
    /// Per CPU: what the hypervisor shares about it.
    vcpus: Vec<Word>,
    /// Per CPU: 1 once its call of the hypervisor has been answered before it was carried out.
    halfway: Vec<Word>,
    /// Page whose cleared entry has not reached the walkers yet, plus 1.
    on_its_way: Word,
    /// Per CPU: 1 once its IPI handler has run, or how often it has met the others.
    pub(crate) handled: Vec<Word>,
    /// Commands of the IOMMU.
    pub(crate) queue: Queue,
}

impl Wires {
    pub(crate) fn new(cpus: usize, profile: Profile, ceiling: u64, kernel_pages: usize) -> Self {
        let words = |name| (0..cpus).map(|_| Word::new(name, 0)).collect();
        Self {
            profile,
            ceiling,
            kernel_pages,
            boot: Boot::new(cpus),
            machine: OnceLock::new(),
            registers: words("root_register"),
            walk_roots: words("walk_root"),
            begun: words("begun"),
            casts: words("broadcasts"),
            ordered: words("stores_ordered"),
            inside: words("inside_method"),
            vcpus: words("vcpu"),
            halfway: words("halfway"),
            on_its_way: Word::new("store_on_its_way", 0),
            handled: words("handled"),
            queue: Queue::new(cpus),
        }
    }

    /// Clears the entry of `page` of space 0 by a store that may take its time.
    pub(crate) fn clear_slowly(&self, page: usize) {
        self.on_its_way.swap(page as u64 + 1, AcqRel);
        sync::raise(sync::cpu(), ARRIVAL);
    }

    /// Lets the store reach the walkers, if it has not.
    pub(crate) fn arrive(&self) {
        let there = self.on_its_way.load(Acquire);
        if let (Some(page), Some(machine)) = (there.checked_sub(1), self.machine.get()) {
            machine.tables.leaf(0, page as usize).swap(0, AcqRel);
            // Another CPU may have let it arrive meanwhile, and one more may be on its way.
            let _ = self.on_its_way.compare_exchange(there, 0, AcqRel, Acquire);
        }
    }

    /// Has the hypervisor say that `cpu` is off, or that it runs, and returns what it had been asked.
    pub(crate) fn say_off(&self, cpu: usize, off: bool) -> u64 {
        self.vcpus[cpu].swap(if off { HOST_PREEMPTED } else { 0 }, AcqRel)
    }

    /// The hypervisor takes this CPU off, and lets it run again some time later.
    pub(crate) fn preempt(&self) {
        let vcpu = &self.vcpus[sync::cpu()];
        hw::running(false);
        vcpu.swap(HOST_PREEMPTED, AcqRel);
        if vcpu.swap(0, AcqRel) & HOST_FLUSHES != 0 {
            hw::flush_all();
        }
        hw::running(true);
    }

    /// What the root register of this CPU holds, in words.
    pub(crate) fn register(&self) -> String {
        let register = self.registers[sync::cpu()].load(Relaxed);
        match (register & 0xff) as usize {
            0 => "the kernel's root".to_owned(),
            space => format!("the root of space {} under tag {}", space_name(space - 1), register >> 8),
        }
    }

    /// Whether the root register of this CPU holds this.
    pub(crate) fn holds(&self, space: Option<usize>, tag: u16) -> bool {
        let held = self.registers[sync::cpu()].load(Relaxed);
        match space {
            None => held & 0xff == 0,
            Some(_) => held == register(space, tag),
        }
    }
}

/// What a root register holds: the space plus 1 (0 for the kernel's root), and above it the tag.
fn register(space: Option<usize>, tag: u16) -> u64 {
    space.map_or(0, |space| u64::from(tag) << 8 | (space as u64 + 1))
}

/// Something begun on one CPU or on all.
#[derive(Clone, Copy, Debug)]
enum Begun {
    Root(Option<usize>, u8, Entries),
    Page(u8, usize, Levels),
    Tag(u8),
    KernelPage(usize, Levels),
    Kernel,
    Users,
    All,
}

impl Begun {
    fn encode(self) -> u64 {
        let bit = |levels| u64::from(levels == Levels::All);
        match self {
            Begun::Root(space, tag, entries) => {
                let space = space.map_or(0, |space| space as u64 + 1);
                1 << 12 | space << 8 | u64::from(tag) << 1 | u64::from(entries == Entries::Dropped)
            }
            Begun::Page(tag, page, levels) => {
                2 << 12 | u64::from(tag) << 4 | (page as u64) << 1 | bit(levels)
            }
            Begun::Tag(tag) => 3 << 12 | u64::from(tag),
            Begun::KernelPage(page, levels) => 4 << 12 | (page as u64) << 1 | bit(levels),
            Begun::Kernel => 5 << 12,
            Begun::Users => 6 << 12,
            Begun::All => 7 << 12,
        }
    }

    fn decode(code: u64) -> Self {
        let levels = if code & 1 == 0 { Levels::Leaf } else { Levels::All };
        match code >> 12 {
            1 => {
                let entries = if code & 1 == 0 { Entries::Kept } else { Entries::Dropped };
                let space = (code >> 8 & 0xf).checked_sub(1).map(|space| space as usize);
                Begun::Root(space, (code >> 1 & 0x7f) as u8, entries)
            }
            2 => Begun::Page((code >> 4 & 0xff) as u8, (code >> 1 & 7) as usize, levels),
            3 => Begun::Tag(code as u8),
            4 => Begun::KernelPage((code >> 1 & 0xff) as usize, levels),
            5 => Begun::Kernel,
            6 => Begun::Users,
            _ => Begun::All,
        }
    }

    /// Happens on this CPU.
    fn here(self, wires: &Wires) {
        match self {
            Begun::Root(space, tag, entries) => {
                let how = if entries == Entries::Kept { Install::Keep } else { Install::FlushTag };
                hw::install(space, tag, how);
                if wires.profile.registers {
                    wires.registers[sync::cpu()].store(register(space, tag.into()), Relaxed);
                }
            }
            Begun::Page(tag, page, levels) => hw::flush_page(tag, page, walk(levels)),
            Begun::Tag(tag) => hw::flush_tag(tag),
            Begun::KernelPage(page, levels) => hw::flush_kernel(page, walk(levels)),
            Begun::Kernel | Begun::Users | Begun::All => hw::flush_all(),
        }
    }

    /// Happens on all CPUs, and on no IOMMU.
    fn everywhere(self, wires: &Wires) {
        let (whose, which) = match self {
            Begun::Page(tag, page, levels) => (Whose::Tag(tag), Which::Page(page, walk(levels))),
            Begun::Tag(tag) => (Whose::Tag(tag), Which::All),
            Begun::KernelPage(..) | Begun::Kernel => (Whose::Kernel, Which::All),
            Begun::Users | Begun::All | Begun::Root(..) => (Whose::Users, Which::All),
        };
        let Some(iommu) = wires.queue.iommu() else { return hw::broadcast(whose, which) };
        let cpus = (0..wires.vcpus.len()).filter(|&cpu| cpu != iommu);
        cpus.for_each(|cpu| hw::flush_on(cpu, whose, which));
    }
}

fn walk(levels: Levels) -> WalkCache {
    match levels {
        Levels::Leaf => WalkCache::Keep,
        Levels::All => WalkCache::Drop,
    }
}

/// The bit of a tag that stands for the half of user mode, where spaces have two roots (PCID bit 11 in Linux).
pub(crate) const USER_HALF: u16 = 0x800;

/// A tag of the machine. Those of user halves follow those of kernel halves.
pub(crate) fn tag(number: u16) -> u8 {
    let (half, tags) = if number & USER_HALF == 0 { (0, TAGS) } else { (TAGS / 2, TAGS / 2) };
    let number = usize::from(number & !USER_HALF);
    assert!(number < tags, "this machine has tags 0 to {}; {number} is none", tags - 1);
    (half + number) as u8
}

impl Sim {
    pub(crate) fn root_of(space: usize) -> u64 {
        (space as u64 + 1) << 12
    }

    /// The space that a root belongs to; `None` for the kernel's.
    pub(crate) fn space_of(root: u64) -> Option<usize> {
        assert!(root & 0xfff == 0 && root >> 12 <= 8, "{root:#x} is no root of this machine");
        (root >> 12).checked_sub(1).map(|space| space as usize)
    }

    /// The page at `address`, of users or of the kernel, if the machine has it.
    pub(crate) fn page(self, address: u64, kernel: bool) -> Option<usize> {
        let pages = if kernel { self.0.kernel_pages } else { PAGES as usize };
        let page = Layout::ALL.iter().find_map(|layout| layout.page(address, kernel, self.0.ceiling));
        page.filter(|&page| page < pages)
    }

    fn begin(self, what: Begun) {
        let wires = self.0;
        if wires.profile.overtaking {
            wires.ordered[sync::cpu()].swap(0, Relaxed);
        }
        // Where a root write may take its time, it may also not.
        let late = wires.profile.late && (!matches!(what, Begun::Root(..)) || sync::choose(2) == 1);
        if !late {
            return what.here(wires);
        }
        if let Some(oldest) = push(&wires.begun[sync::cpu()], what) {
            oldest.here(wires);
        }
    }
}

/// Begins something. Where too much is under way for the word that has it, the oldest takes effect, as it may at any time.
fn push(queue: &Word, what: Begun) -> Option<Begun> {
    let before = queue.load(Relaxed);
    let (oldest, rest) =
        if before >> 48 == 0 { (None, before) } else { (Some(before & 0xffff), before >> 16) };
    let free = (0..4).find(|place| rest >> (16 * place) & 0xffff == 0).unwrap_or(0);
    queue.swap(rest | what.encode() << (16 * free), Relaxed);
    oldest.map(Begun::decode)
}

fn take(queue: &Word) -> impl Iterator<Item = Begun> + use<> {
    let all = queue.swap(0, Relaxed);
    (0..4).map(move |place| all >> (16 * place) & 0xffff).filter(|&code| code != 0).map(Begun::decode)
}

impl Ports for Sim {
    fn this_cpu(&self) -> u32 {
        self.0.boot.cpu().unwrap_or_else(sync::cpu) as u32
    }
    #[track_caller]
    fn interrupts_off(&self) -> bool {
        sync::irq_save()
    }
    #[track_caller]
    fn interrupts_on(&self) {
        if self.0.profile.watches_context {
            let inside = self.0.inside[sync::cpu()].load(Relaxed) == 1;
            assert!(!inside, "{LET_IN} a method that is called with them off");
        }
        sync::irq_restore(true);
    }
    fn pause(&self) {}

    fn order_before_interrupt(&self) {
        if self.0.profile.overtaking {
            self.0.ordered[sync::cpu()].swap(1, Relaxed);
        }
    }
    #[track_caller]
    fn send_interrupt(&self, cpu: u32) {
        let cpu = cpu as usize;
        assert!(cpu < self.0.vcpus.len(), "an interrupt for CPU {cpu}, which this machine does not have");
        if self.0.profile.overtaking {
            let word = &self.0.ordered[sync::cpu()];
            let ordered = word.swap(0, Relaxed) == 1;
            if ordered {
                // So are those that go to others of a set.
                word.swap(1, Relaxed);
            }
            if !ordered && sync::choose(2) == 1 {
                // It is taken before the request is in memory: its handler finds nothing, and is as if it had not run.
                sync::note("the interrupt overtakes the request: its handler finds nothing");
                return;
            }
        }
        sync::raise(cpu, IPI);
    }

    fn publish_tables(&self) {
        if self.0.profile.slow_tables && self.0.boot.cpu().is_none() {
            self.0.arrive();
        }
    }
    fn kernel_root(&self) -> u64 {
        0
    }
    #[track_caller]
    fn write_root(&self, root: u64, number: u16, entries: Entries) {
        let (space, tag) = (Self::space_of(root), tag(number));
        match self.0.boot.cpu() {
            Some(cpu) => self.0.boot.write_root(cpu, space, tag, entries),
            None => self.begin(Begun::Root(space, tag, entries)),
        }
    }
    #[track_caller]
    fn drop_page(&self, number: u16, address: u64, levels: Levels) {
        let tag = tag(number);
        if let (Some(page), None) = (self.page(address, false), self.0.boot.cpu()) {
            self.begin(Begun::Page(tag, page, levels));
        }
    }
    #[track_caller]
    fn drop_tag(&self, number: u16) {
        let tag = tag(number);
        match self.0.boot.cpu() {
            Some(cpu) => self.0.boot.drop_tag(cpu, tag),
            None => self.begin(Begun::Tag(tag)),
        }
    }
    #[track_caller]
    fn drop_kernel_page(&self, address: u64, levels: Levels) {
        if let (Some(page), None) = (self.page(address, true), self.0.boot.cpu()) {
            self.begin(Begun::KernelPage(page, levels));
        }
    }
    #[track_caller]
    fn drop_all(&self) {
        match self.0.boot.cpu() {
            Some(cpu) => self.0.boot.drop_all(cpu),
            None => self.begin(Begun::All),
        }
    }
    #[track_caller]
    fn complete(&self) {
        if self.0.profile.late && self.0.boot.cpu().is_none() {
            take(&self.0.begun[sync::cpu()]).for_each(|what| what.here(self.0));
        }
    }
    #[track_caller]
    fn free_root(&self, root: u64) {
        match Self::space_of(root) {
            Some(space) => hw::free_root(space),
            None => panic!("the kernel's own root is freed"),
        }
    }
}

impl Sim {
    #[track_caller]
    fn cast(self, what: Begun) {
        if self.0.boot.cpu().is_none() {
            let oldest = push(&self.0.casts[sync::cpu()], what);
            if let Some(oldest) = oldest {
                oldest.everywhere(self.0);
            }
        }
    }
}

impl Broadcasts for Sim {
    #[track_caller]
    fn broadcast_page(&self, number: u16, address: u64, levels: Levels) {
        let tag = tag(number);
        if let Some(page) = self.page(address, false) {
            self.cast(Begun::Page(tag, page, levels));
        }
    }
    #[track_caller]
    fn broadcast_tag(&self, number: u16) {
        self.cast(Begun::Tag(tag(number)));
    }
    #[track_caller]
    fn broadcast_users(&self) {
        self.cast(Begun::Users);
    }
    #[track_caller]
    fn broadcast_kernel(&self) {
        self.cast(Begun::Kernel);
    }
    #[track_caller]
    fn complete_broadcast(&self) {
        match self.0.boot.cpu() {
            Some(_) => self.0.boot.drop_everywhere(),
            None => take(&self.0.casts[sync::cpu()]).for_each(|what| what.everywhere(self.0)),
        }
    }
}

/// Flags of [`FlushCalls::flush_call`], in the second word of the input.
const ALL_PROCESSORS: u64 = 1;
const ALL_SPACES: u64 = 2;

impl FlushCalls for Sim {
    /// Flushes on the processors of the mask, in the third word of the input; the ranges follow it. The hypervisor may
    /// answer before it has begun, once a call that has a list: how far it got is 0. One without a list ends when it is done.
    #[track_caller]
    fn flush_call(&self, control: u64, input: &[u64]) -> u64 {
        assert!(
            !sync::irq_enabled(),
            "a call of the hypervisor with interrupts on: another may overwrite its page"
        );
        let halfway = &self.0.halfway[sync::cpu()];
        if control & 0xfff << 32 != 0 && halfway.load(Relaxed) == 0 && sync::choose(2) == 1 {
            halfway.store(1, Relaxed);
            return 0;
        }
        halfway.store(0, Relaxed);
        let [root, flags, mask, ranges @ ..] = input else { panic!("a call has three words or more") };
        assert!(
            control & 0xffff < 0x13,
            "this machine has one bank of processors, and takes the simple form"
        );
        let cpus = self.0.vcpus.len();
        let mask = if flags & ALL_PROCESSORS == 0 { *mask } else { u64::MAX };
        assert!(mask != 0, "a call that names no processor flushes nothing");
        let whose: &[Whose] = match Self::space_of(*root) {
            Some(space) if flags & ALL_SPACES == 0 => &[Whose::Space(space)],
            _ => &[Whose::Users, Whose::Kernel],
        };
        for (cpu, &whose) in (0..cpus)
            .filter(|&cpu| mask >> cpu & 1 != 0 && self.0.queue.iommu() != Some(cpu))
            .flat_map(|cpu| whose.iter().map(move |whose| (cpu, whose)))
        {
            self.flush_ranges(cpu, whose, ranges);
        }
        control & 0xfff << 32
    }
}

impl Sim {
    /// Flushes ranges on a CPU, each an address with the number of further pages in its low bits; none stands for
    /// everything.
    #[track_caller]
    fn flush_ranges(self, cpu: usize, whose: Whose, ranges: &[u64]) {
        if ranges.is_empty() {
            hw::flush_on(cpu, whose, Which::All);
        }
        for range in ranges {
            let kernel = whose == Whose::Kernel;
            let pages =
                (0..=range & 0xfff).filter_map(|page| self.page((range & !0xfff) + (page << 12), kernel));
            // A large page is named many times.
            let pages: BTreeSet<usize> = pages.collect();
            for page in pages {
                hw::flush_on(cpu, whose, Which::Page(page, WalkCache::Drop));
            }
        }
    }
}

impl Host for Sim {
    fn vcpu(&self, cpu: u32) -> &Word {
        &self.0.vcpus[cpu as usize]
    }
}

impl Wires {
    /// Names the words for drawings.
    pub(crate) fn name(&self, registry: &mut shootdown_explore::Registry) {
        let lists = [
            &self.registers,
            &self.walk_roots,
            &self.begun,
            &self.casts,
            &self.ordered,
            &self.inside,
            &self.vcpus,
            &self.halfway,
            &self.handled,
        ];
        for (cpu, word) in lists.into_iter().flat_map(|list| list.iter().enumerate()) {
            registry.local(cpu, format!("cpu{cpu}"), word);
        }
        registry.object("machine", &self.on_its_way);
        self.queue.name(registry);
    }

    /// Runs a method of the platform with interrupts off, and checks that they stay off.
    pub(crate) fn with_interrupts_off(&self, method: impl FnOnce()) {
        let were_on = sync::irq_save();
        let inside = &self.inside[sync::cpu()];
        inside.store(1, Relaxed);
        method();
        inside.store(0, Relaxed);
        assert!(
            !sync::irq_enabled(),
            "interrupts are on when the method returns, and it was called with them off"
        );
        sync::irq_restore(were_on);
    }

    /// Waits until all CPUs have come here as often as this one.
    pub(crate) fn meet(&self, cpu: usize) {
        let times = self.handled[cpu].load(Relaxed) + 1;
        self.handled[cpu].store(times, Release);
        for other in &self.handled {
            sync::wait_until(|| other.load(Acquire) >= times);
        }
    }

    /// Waits until the IPI handler of `cpu` has run.
    pub(crate) fn await_handled(&self, cpu: usize) {
        sync::wait_until(|| self.handled[cpu].load(Acquire) == 1);
    }
}
