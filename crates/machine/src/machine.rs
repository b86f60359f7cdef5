use crate::config::{Builder, HardwareOrder, Translation};
use crate::hw::{Install, Op, WalkCache, Which, Whose};
use crate::limits::{MAX_CPUS, MAX_FRAMES, MAX_PAGES, MAX_SPACES, MAX_TAGS, SLOTS};
use crate::state::{ARRIVING, Local, ONLINE, PAUSED, Shared, USER};
use crate::tables::Tables;
use shootdown_explore::sync::Word;
use shootdown_explore::{Device, Did, Dissection, Effect, Facts, Registry, Survey, Uses, View, Violation};
use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// One word of a space's CPU mask, for [`Machine::register`].
#[derive(Clone, Copy, Debug)]
pub struct MaskWord<'a> {
    /// The space.
    pub space: usize,
    /// The word: bit `n` is CPU `first + n`.
    pub word: &'a Word,
    /// CPU of its bit 0.
    pub first: usize,
}

/// The words in which a protocol keeps how far CPUs have flushed kernel memory, for [`Machine::register_acknowledged`].
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged<'a> {
    /// Generation of kernel memory: a count of the flushes that were asked for.
    pub generation: &'a Word,
    /// Per CPU, the generation with which it says that its TLB agrees.
    pub caught: &'a [&'a Word],
}

/// The simulated hardware: page tables in memory, what TLBs may hold of them, and the oracle. A clone is the same
/// machine.
#[derive(Clone, Debug)]
pub struct Machine(Arc<Hardware>);

impl Deref for Machine {
    type Target = Hardware;

    fn deref(&self) -> &Hardware {
        &self.0
    }
}

/// The parts of a [`Machine`].
#[derive(Debug)]
pub struct Hardware {
    /// Page tables in memory.
    pub tables: Tables,
    pub(crate) config: Builder,
    /// Values of frames that belong to another space, per space.
    pub(crate) foreign: [u16; MAX_SPACES],
    /// Values that lead to each frame.
    pub(crate) leading_to: [u16; MAX_FRAMES],
    /// Values of each space's own frames.
    pub(crate) own: [u16; MAX_SPACES],
    watched: OnceLock<Watched>,
}

/// Where the words that hardware and oracle read are found in a [`View`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Watched {
    roots: usize,
    per_space: usize,
    leaves: usize,
    kernel: usize,
    kernel_link: Option<usize>,
    second_stage: usize,
    code: usize,
    /// The generation of kernel memory, and per CPU what it has acknowledged.
    acknowledged: Option<(usize, [usize; MAX_CPUS])>,
    /// Per space and CPU: index of the mask word, and the bit.
    pub(crate) masks: [[Option<(usize, u32)>; MAX_CPUS]; MAX_SPACES],
}

impl Watched {
    pub(crate) fn root(&self, space: usize, entry: usize) -> usize {
        self.roots + space * self.per_space + entry
    }

    pub(crate) fn leaf(&self, table: usize, slot: usize) -> usize {
        self.leaves + table * SLOTS + slot
    }

    pub(crate) fn kernel(&self, page: usize) -> usize {
        self.kernel + page
    }

    pub(crate) fn second_stage(&self, guest: usize) -> usize {
        self.second_stage + guest
    }

    pub(crate) fn code(&self, piece: usize) -> usize {
        self.code + piece
    }

    /// The first entry that links the kernel's table, where there is one.
    pub(crate) fn kernel_link(&self) -> Option<usize> {
        self.kernel_link
    }
}

impl Builder {
    /// Makes the machine, for a [`Scenario`](shootdown_explore::Scenario) of its own.
    pub fn build(self) -> Machine {
        Machine::new(self)
    }
}

impl Machine {
    /// Starts the description of a machine.
    pub fn builder(cpus: usize) -> Builder {
        Builder::new(cpus)
    }

    /// Returns how many CPUs there are.
    pub fn cpus(&self) -> usize {
        self.config.cpus
    }

    fn new(config: Builder) -> Self {
        let tables = config.tables();
        let owner_of = |root: usize| usize::from(config.owners[root]);
        let values = |wanted: &dyn Fn(&Translation) -> bool| {
            config
                .translations
                .iter()
                .enumerate()
                .fold(0u16, |set, (n, t)| if wanted(t) { set | 2 << n } else { set })
        };
        Self(Arc::new(Hardware {
            foreign: std::array::from_fn(|s| values(&|t| t.space.is_some_and(|owner| owner != owner_of(s)))),
            own: std::array::from_fn(|s| values(&|t| t.space == Some(owner_of(s)))),
            leading_to: std::array::from_fn(|f| values(&|t| t.frame == f)),
            tables,
            config,
            watched: OnceLock::new(),
        }))
    }

    /// Returns the first CPU that starts differently in `other`: with another root, tag, mode or TLB.
    pub fn starts_otherwise(&self, other: &Machine) -> Option<usize> {
        let mut both = self.config.locals.iter().zip(&other.config.locals);
        both.position(|(one, two)| one != two)
    }

    /// Returns the first fact of the hardware that differs in `other`, by the name of its field in [`Builder`].
    pub fn differs(&self, other: &Machine) -> Option<&'static str> {
        let mut both = self.config.facts().into_iter().zip(other.config.facts());
        both.find(|(one, two)| one != two).map(|((name, _), _)| name)
    }

    /// Returns whether the oracle judges what happens on it.
    pub fn is_judged(&self) -> bool {
        self.config.checked
    }

    /// Returns what the surveyed code frees, each in words: `free frame 1`.
    pub fn given_away(&self, survey: &Survey) -> BTreeSet<String> {
        let gives = |op: &Op| op.is_mark() && !matches!(op, Op::Mapped { .. });
        self.operations(survey).filter(gives).map(|op| self.words(op)).collect()
    }

    /// Returns whether operation `op` takes translations out of a TLB and does nothing else.
    pub fn is_flush(op: u64) -> bool {
        Op::decode(op).is_some_and(Op::is_flush)
    }

    /// Returns whether operation `op` is a barrier between accesses and hardware, or has CPUs fetch their code anew,
    /// and nothing else.
    pub fn is_barrier(op: u64) -> bool {
        matches!(Op::decode(op), Some(Op::Dsb | Op::SyncContext { .. }))
    }

    fn operations(&self, survey: &Survey) -> impl Iterator<Item = Op> {
        survey.sites.iter().filter_map(|site| match site.did {
            Did::Device(op) => Op::decode(op).filter(|&op| self.fits(op)),
            _ => None,
        })
    }

    /// Registers the page tables, and the words in which the protocol keeps its CPU masks, if rule SD-1 is to be
    /// checked: a CPU that has a space's root loaded without its bit in memory breaks it. To be called from
    /// [`shootdown_explore::Scenario::register`], always with the same masks; the words may be registered as parts of
    /// other objects before.
    pub fn register(&self, registry: &mut Registry, masks: &[MaskWord<'_>]) {
        self.register_acknowledged(registry, masks, None);
    }

    /// The same, with the words that say how far CPUs have flushed kernel memory: a CPU that comes on line is then
    /// judged by what it acknowledges before it has flushed (SD-6).
    pub fn register_acknowledged(
        &self,
        registry: &mut Registry,
        masks: &[MaskWord<'_>],
        acknowledged: Option<Acknowledged<'_>>,
    ) {
        let roots = self.tables.register(registry);
        let per_space = self.tables.per_space;
        let leaves = roots + self.tables.roots.len() * per_space;
        let kernel = leaves + self.tables.leaves.len() * SLOTS;
        let kernel_link = (!self.tables.kernel_links.is_empty()).then(|| kernel + self.tables.kernel.len());
        let second_stage = kernel + self.tables.kernel.len() + self.tables.kernel_links.len();
        let code = second_stage + self.tables.second_stage.len();
        let masks_of_spaces = [[None; MAX_CPUS]; MAX_SPACES];
        let acknowledged = acknowledged.map(|words| {
            let generation = registry.watch(words.generation);
            let mut caught = [generation; MAX_CPUS];
            for (index, word) in caught.iter_mut().zip(words.caught) {
                *index = registry.watch(word);
            }
            (generation, caught)
        });
        let mut watched = Watched {
            roots,
            per_space,
            leaves,
            kernel,
            kernel_link,
            second_stage,
            code,
            acknowledged,
            masks: masks_of_spaces,
        };
        for mask in masks {
            let index = registry.watch(mask.word);
            let cpus = mask.first..self.config.cpus.min(mask.first.saturating_add(64));
            for cpu in cpus.filter(|&cpu| !self.is_iommu(cpu) && !self.is_device(cpu)) {
                watched.masks[mask.space][cpu] = Some((index, (cpu - mask.first) as u32));
            }
        }
        let known = self.watched.get_or_init(|| watched);
        assert_eq!(*known, watched, "a machine must be registered the same way each time");
    }

    pub(crate) fn watched(&self) -> &Watched {
        self.watched.get().expect("a scenario's register must call Machine::register")
    }

    /// Whether `cpu` says that its TLB agrees with the latest generation of kernel memory, where the machine knows.
    pub(crate) fn acknowledges_latest(&self, view: &View<'_, Self>, cpu: usize) -> bool {
        let agrees = |(generation, caught): (usize, [usize; MAX_CPUS])| {
            view.memory(caught[cpu]) == view.memory(generation)
        };
        self.watched().acknowledged.is_some_and(agrees)
    }

    /// Adds to the TLB `local` of `cpu` what its walker could read of kernel memory now; answers what is no entry.
    fn fill_kernel(&self, view: &View<'_, Self>, cpu: usize, local: &mut Local) -> Option<u64> {
        let watched = self.watched();
        let mut junk = None;
        let link = self.kernel_entry(local.space());
        if let Some(link) = link {
            view.readable(cpu, link, |table| match table {
                0 => {}
                _ if table == self.tables.kernel_table() => local.kernel_walk = true,
                _ => junk = Some(table),
            });
        }
        let reached = link.is_none() || local.kernel_walk;
        let walked = |page: &usize| reached || self.config.entry_pages >> page & 1 != 0;
        for page in (0..self.tables.kernel.len()).filter(walked) {
            view.readable(cpu, watched.kernel(page), |value| match value {
                0 => local.kernel[page] |= self.nothing(),
                1..16 => local.kernel[page] |= 1 << value,
                _ => junk = Some(value),
            });
        }
        junk
    }

    /// Adds to the TLB of `cpu` whatever its walker could read now.
    fn fill(&self, view: &mut View<'_, Self>, cpu: usize) -> Result<(), Violation> {
        let mut local = view.locals[cpu];
        let watched = self.watched();
        self.fetch(view, cpu, &mut local);
        let device = self.is_device(cpu);
        let mut junk = if device { None } else { self.fill_kernel(view, cpu, &mut local) };
        let walks = !self.config.software_refill && !device;
        if let Some(space) = local.space().filter(|_| walks) {
            let tag = usize::from(local.tag);
            for entry in 0..self.tables.per_space {
                view.readable(cpu, watched.root(space, entry), |table| match table {
                    0 => self.hold_no_table(&mut local, tag, entry),
                    _ if table <= self.tables.leaves.len() as u64 => {
                        local.walk[tag] |= 1 << (8 * entry as u64 + table - 1);
                    }
                    _ => junk = Some(table),
                });
            }
            let mut walk = local.walk[tag];
            while walk != 0 {
                let bit = walk.trailing_zeros() as usize;
                walk &= walk - 1;
                let (entry, table) = (bit / 8, bit % 8);
                for slot in 0..SLOTS {
                    let mut read = 0;
                    view.readable(cpu, watched.leaf(table, slot), |value| match value {
                        0 => read |= self.nothing(),
                        1..16 => read |= 1 << value,
                        _ => junk = Some(value),
                    });
                    let page = entry * SLOTS + slot;
                    let read = self.combine(view, cpu, &mut local, page, read);
                    self.hold(&mut local, tag, page, read);
                }
            }
        }
        view.locals[cpu] = local;
        match junk {
            None => Ok(()),
            Some(value) => {
                let what = format!("CPU {cpu} walks into {value:#x}, which is no page-table entry");
                Err(Violation::Misuse(what))
            }
        }
    }

    /// Whether this machine has what `op` names.
    fn fits(&self, op: Op) -> bool {
        let Builder { spaces, per_space, tags, kernel_pages, translations, .. } = &self.config;
        let pages = per_space * SLOTS;
        match op {
            Op::Install { space, tag, .. } => space.is_none_or(|s| s < *spaces) && usize::from(tag) < *tags,
            Op::FlushPage { tag, page, .. } => usize::from(tag) < *tags && page < pages,
            Op::FlushTag { tag } => usize::from(tag) < *tags,
            Op::FlushKernelPage { page, .. } => page < *kernel_pages,
            Op::Broadcast { whose, which } => self.names(whose, which),
            Op::FlushOn { cpu, whose, which } => {
                cpu < self.config.cpus && !self.shares(cpu) && self.names(whose, which)
            }
            Op::Ats { device, .. } => device < self.config.cpus && self.is_device(device),
            Op::Touch { page } => page < pages,
            Op::Reach { page } => self.config.absent && page < pages,
            Op::ReachKernel { page } => self.config.absent && page < *kernel_pages,
            Op::Insert { tag, page, value } => {
                let known = (1..=translations.len() as u64).contains(&value);
                self.config.software_refill && known && usize::from(tag) < *tags && page < pages
            }
            Op::Access { space, value } => {
                space < *spaces && (1..=translations.len() as u64).contains(&value)
            }
            Op::FreeFrame { frame } | Op::Wrote { frame } | Op::Discard { frame } => frame < MAX_FRAMES,
            Op::FreeTable { table } => (1..=self.tables.last()).contains(&table),
            Op::FreeRoot { space } | Op::Teardown { space } => space < *spaces,
            Op::Revoke { value } => (1..=translations.len() as u64).contains(&value),
            Op::Unreachable { space, page } => space < *spaces && page < pages,
            Op::Mapped { space, page } => self.config.remaps && space < *spaces && page < pages,
            Op::Privilege { .. } => self.config.privilege,
            Op::FlushGuestPage { guest, .. } => guest < self.tables.second_stage.len(),
            Op::SyncContext { .. } => !self.config.code.is_empty(),
            Op::Execute { piece, version } | Op::Obsolete { piece, version } => {
                piece < self.config.code.len() && (1..8).contains(&version)
            }
            Op::Dsb | Op::FlushUser | Op::FlushAll | Op::User { .. } | Op::Running { .. } => true,
            Op::Offline | Op::Online => !self.config.domains.iter().any(|domain| domain.count_ones() > 1),
        }
    }

    /// Whether this machine has the translations that a broadcast names.
    fn names(&self, whose: Whose, which: Which) -> bool {
        let pages = match whose {
            Whose::Kernel => self.config.kernel_pages,
            Whose::Tag(_) | Whose::Space(_) | Whose::Users => self.config.per_space * SLOTS,
        };
        let known = match whose {
            Whose::Tag(tag) => usize::from(tag) < self.config.tags,
            // Whose an absent page is, hardware cannot tell.
            Whose::Space(space) => space < self.config.spaces && !self.config.absent,
            Whose::Users | Whose::Kernel => true,
        };
        known
            && match which {
                Which::All => true,
                Which::Page(page, _) => page < pages,
            }
    }

    fn broadcast(&self, locals: &mut [Local], issuer: usize, whose: Whose, which: Which) {
        for (cpu, local) in locals.iter_mut().enumerate().filter(|(_, local)| local.is(ONLINE)) {
            let held = local.held();
            self.drop_on(local, whose, which);
            if self.config.late_accesses && cpu != issuer {
                local.in_flight = held & !local.held();
            }
        }
    }

    fn drop_on(&self, local: &mut Local, whose: Whose, which: Which) {
        match (whose, which) {
            (Whose::Tag(tag), Which::All) => self.drop_tag(local, tag),
            (Whose::Tag(tag), Which::Page(page, walk)) => self.flush_page(local, tag.into(), page, walk),
            (Whose::Space(space), _) => self.drop_space(local, space, which),
            (Whose::Kernel, _) => local.drop_kernel(which),
            (Whose::Users, Which::All) => local.drop_user(),
            (Whose::Users, Which::Page(page, walk)) => {
                (0..MAX_TAGS).for_each(|tag| self.flush_page(local, tag, page, walk));
            }
        }
    }

    /// Drops what belongs to a space: its values and tables, under whichever tag.
    fn drop_space(&self, local: &mut Local, space: usize, which: Which) {
        let tables = u16::from(self.own_tables(space)) * 0x101;
        for tag in 0..MAX_TAGS {
            for page in (0..MAX_PAGES).filter(|&page| which.covers(page)) {
                self.drop_page(local, tag, page, self.own[space]);
            }
            if !matches!(which, Which::Page(_, WalkCache::Keep)) {
                local.walk[tag] &= !tables;
            }
        }
    }

    fn own_tables(&self, space: usize) -> u8 {
        (((1u16 << self.tables.per_space) - 1) << (space * self.tables.per_space)) as u8
    }

    fn install(&self, local: &mut Local, space: Option<usize>, tag: u8, how: Install) {
        local.root = space.map_or(0, |s| s as u8 + 1);
        local.tag = tag;
        local.set(ARRIVING, false);
        match how {
            _ if self.config.tags == 1 => local.drop_user(),
            Install::Keep => {}
            Install::FlushTag => self.drop_tag(local, tag),
            Install::FlushAll => local.drop_user(),
        }
    }

    /// What `op` does to the CPU that issues it.
    fn change(&self, local: &mut Local, op: Op) {
        if op.waits_for_own_accesses() {
            local.in_flight = 0;
        }
        match op {
            Op::Install { space, tag, how } => self.install(local, space, tag, how),
            Op::FlushPage { tag, page, walk } => self.flush_page(local, tag.into(), page, walk),
            Op::FlushTag { tag } => self.drop_tag(local, tag),
            Op::FlushGuestPage { guest, everywhere: false } => self.flush_guest_page(local, guest),
            Op::FlushUser => local.drop_user(),
            Op::FlushKernelPage { .. } if self.config.sticky_kernel_pages && self.config.tags > 1 => {}
            Op::FlushKernelPage { page, walk } => local.drop_kernel_page(page, walk),
            Op::FlushAll => {
                local.drop_user();
                local.drop_kernel_all();
                local.set(ARRIVING, false);
            }
            Op::User { on } => local.set(USER, on),
            Op::Privilege { privilege } => local.set_privilege(privilege),
            Op::Running { on } => local.set(PAUSED, !on),
            Op::SyncContext { everywhere: false } => Self::synchronise(local),
            Op::Insert { tag, page, value } => self.hold(local, tag.into(), page, 1 << value),
            // A root that is loaded stays loaded.
            Op::Offline => local.flags = 0,
            Op::Online => local.flags = ONLINE | ARRIVING,
            _ => {}
        }
    }
}

impl Device for Machine {
    type Shared = Shared;
    type Local = Local;

    fn reset(&self, cpus: usize) -> (Shared, Vec<Local>) {
        assert_eq!(cpus, self.config.cpus, "the scenario and its machine must agree on the number of CPUs");
        (Shared::default(), self.config.locals.clone())
    }

    fn step(&self, view: &mut View<'_, Self>, cpu: usize, op: u64) -> Effect {
        let Some(op) = Op::decode(op).filter(|&op| self.fits(op)) else {
            let (what, has) = (self.show(op, 0), self.config.says());
            let what = format!("CPU {cpu}: this machine cannot do this: {what} (it has {has})");
            return Effect::Violation(Violation::Misuse(what));
        };
        if !view.locals[cpu].is(ONLINE) && !op.is_mark() && op != Op::Online {
            let what = format!("CPU {cpu} is offline: {}", self.show(op.encode(), 0));
            return Effect::Violation(Violation::Misuse(what));
        }
        if let Op::Broadcast { whose, which } = op {
            self.broadcast(view.locals, cpu, whose, which);
        }
        if let Op::FlushOn { cpu, whose, which } = op {
            if view.locals[cpu].is(ONLINE) {
                self.drop_on(&mut view.locals[cpu], whose, which);
            }
        }
        if let Op::FlushGuestPage { guest, everywhere: true } = op {
            let online = view.locals.iter_mut().filter(|local| local.is(ONLINE));
            online.for_each(|local| self.flush_guest_page(local, guest));
        }
        if op == (Op::SyncContext { everywhere: true }) {
            view.locals.iter_mut().filter(|local| local.is(ONLINE)).for_each(Self::synchronise);
        }
        if let Op::Ats { device, on } = op {
            Self::switch_ats(&mut view.locals[device], on);
        }
        self.change(&mut view.locals[cpu], op);
        if self.shares(cpu) {
            self.spread(view.locals, cpu);
        }
        match self.mark(view.shared, &view.locals[cpu], cpu, op) {
            Ok(()) => Effect::Done(0),
            Err(violation) => Effect::Violation(violation),
        }
    }

    fn settle(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        loop {
            for cpu in 0..view.locals.len() {
                if view.locals[cpu].walks() {
                    self.fill(view, cpu)?;
                }
            }
            let pooled = self.pool(view.locals);
            if !self.answer_devices(view.locals) && !pooled {
                return if self.config.checked { self.check(view) } else { Ok(()) };
            }
        }
    }

    fn finish(&self, view: &mut View<'_, Self>) -> Result<(), Violation> {
        self.lost(view.shared)
    }

    fn facts(&self, op: u64) -> Facts {
        let Some(op) = Op::decode(op).filter(|&op| self.fits(op)) else { return Facts::default() };
        let refetches = match op {
            Op::SyncContext { everywhere } => Some(self.refetch(everywhere)),
            _ => None,
        };
        Facts { gives: self.gives(op), refetches, ..op.facts(self.config.remaps, self.config.order) }
    }

    fn used(&self, view: &View<'_, Self>, cpu: usize) -> Uses {
        let local = &view.locals[cpu];
        Uses { now: self.uses(local), held: self.holds(local) }
    }

    fn unordered(&self, op: u64, giver: usize, user: usize) -> Violation {
        self.not_over(Op::decode(op).unwrap_or(Op::Offline), giver, user)
    }

    fn walks_lag(&self) -> bool {
        self.config.order != HardwareOrder::Program
    }

    fn show(&self, op: u64, _result: u64) -> String {
        match Op::decode(op) {
            Some(op) => self.words(op),
            None => format!("device operation {op:#x}"),
        }
    }

    fn show_state(&self, view: &View<'_, Self>) -> Vec<String> {
        let mut lines: Vec<String> =
            view.locals.iter().enumerate().map(|(cpu, local)| self.show_local(cpu, local)).collect();
        lines.extend(self.show_given_away(view.shared));
        lines
    }

    fn dissect(&self, view: &View<'_, Self>) -> Dissection {
        self.take_apart(view)
    }

    fn show_watched(&self, index: usize, value: u64) -> Option<String> {
        self.entry_meaning(index, value)
    }
}
