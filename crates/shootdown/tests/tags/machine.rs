//! A machine whose CPUs take turns on one thread. Its TLBs hold for each tag one entry, with the space that it belongs to
//! and how often that space had been unmapped when it was filled.

use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Remote, RemoteFlush, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, UserRef};
use shootdown::tags::{OnInstall, Tag, TagBroadcast, TagPolicy};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::{Cell, OnceCell, RefCell};

/// TLBs of all CPUs.
#[derive(Default)]
pub struct Tlbs {
    /// Per CPU and tag.
    entries: RefCell<Vec<Vec<Option<Entry>>>>,
    /// How often each space has been unmapped, by root.
    unmaps: RefCell<Vec<u64>>,
    /// Per CPU, flushes of everything since it is on line.
    pub everything: RefCell<Vec<u64>>,
    /// Flushes of one tag or of pages, of all CPUs, installs that flush included.
    pub partial: Cell<u64>,
    /// Broadcasts to all tags.
    pub broadcasts: Cell<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Entry {
    root: usize,
    unmaps: u64,
}

// SAFETY: each test has its own and runs on one thread.
unsafe impl Sync for Tlbs {}

/// The broadcast to all CPUs and tags.
pub struct Everywhere(pub &'static Tlbs);

// SAFETY: 1. the model's TLBs are emptied.
unsafe impl TagBroadcast for Everywhere {
    fn flush_all_tags(&self) {
        self.0.entries.borrow_mut().iter_mut().for_each(|tlb| tlb.fill(None));
        self.0.broadcasts.set(self.0.broadcasts.get() + 1);
    }
}

pub type Space<T> = &'static AddressSpace<Host<T>>;
pub type User<T> = UserRef<'static, Host<T>>;

/// The machine, with tags of policy `T`.
pub struct Host<T: TagPolicy + 'static> {
    locals: Vec<CpuLocal>,
    cpu: Cell<u32>,
    tags: T,
    pub tlbs: &'static Tlbs,
    /// Per CPU, root and tag that are loaded.
    loaded: RefCell<Vec<(Option<usize>, u16)>>,
    pending_ipis: RefCell<Vec<u32>>,
    /// Whether broadcasts under a tag are left to IPIs.
    pub refuses: Cell<bool>,
    engine: OnceCell<&'static Shootdown<Host<T>>>,
}

// SAFETY: as above.
unsafe impl<T: TagPolicy> Sync for Host<T> {}

// SAFETY: 1. the test sets the number; 2. a fixed vector, and each test's tags have words of their own; 3. one thread; 4.
// the model drops what is asked for; 5. the target of an IPI handles it when the waiter relaxes; 6. the model drops the tag
// on all CPUs.
unsafe impl<T: TagPolicy> Platform for Host<T> {
    type Root = usize;
    type Mask = CpuMask<1>;
    type Handle = Space<T>;
    type Tags = T;
    type Pin = ();

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(self.cpu.get())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &T {
        &self.tags
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let cpu = self.cpu.get() as usize;
        let tlb = &mut self.tlbs.entries.borrow_mut()[cpu];
        match (what.tag, what.request.range()) {
            (Some(tag), _) => {
                tlb[usize::from(tag.number())] = None;
                self.tlbs.partial.set(self.tlbs.partial.get() + 1);
            }
            (None, None) => {
                tlb.fill(None);
                self.tlbs.everything.borrow_mut()[cpu] += 1;
            }
            (None, Some(_)) => unreachable!("no kernel memory is unmapped here"),
        }
    }
    unsafe fn install(&self, root: Option<usize>, tag: Tag, how: OnInstall) {
        let cpu = self.cpu.get() as usize;
        self.loaded.borrow_mut()[cpu] = (root, tag.number());
        if how == OnInstall::Flush {
            self.tlbs.entries.borrow_mut()[cpu][usize::from(tag.number())] = None;
            self.tlbs.partial.set(self.tlbs.partial.get() + 1);
        }
    }
    fn send_ipi(&self, cpu: CpuId) {
        self.pending_ipis.borrow_mut().push(cpu.number());
    }
    unsafe fn free_root(&self, _: &AddressSpace<Self>) {}
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let _ = teardown.into_handle();
    }
    fn flush_remote(&self, what: RemoteFlush<'_, Self>) -> Remote {
        let Some(tag) = what.tag.filter(|_| !self.refuses.get()) else { return Remote::NeedsIpi };
        for tlb in self.tlbs.entries.borrow_mut().iter_mut() {
            tlb[usize::from(tag.number())] = None;
        }
        Remote::Done
    }
    fn relax(&self, _: u64) {
        for cpu in self.pending_ipis.take() {
            // SAFETY: 1. nothing interrupts the thread that plays the CPUs; 2. no call is at work on this one.
            self.on(cpu, || unsafe { self.engine().handle_ipi() });
        }
    }
}

impl<T: TagPolicy> Host<T> {
    fn engine(&self) -> &'static Shootdown<Self> {
        self.engine.get().expect("the engine is made first")
    }

    /// Runs `body` as CPU `cpu`.
    pub fn on<R>(&self, cpu: u32, body: impl FnOnce() -> R) -> R {
        let before = self.cpu.replace(cpu);
        let answer = body();
        self.cpu.set(before);
        answer
    }

    /// The tag under which `cpu` runs.
    pub fn tag(&self, cpu: u32) -> u16 {
        self.loaded.borrow()[cpu as usize].1
    }

    /// Has `cpu` run a thread of the space, and its user code use the space.
    pub fn run(&self, cpu: u32, user: &User<T>) {
        self.on(cpu, || self.engine().switch_to(user));
        self.touch(cpu);
    }

    /// Uses what `cpu` has loaded: an entry that belongs to another space, or to an unmapped state, fails the test.
    fn touch(&self, cpu: u32) {
        let (Some(root), tag) = self.loaded.borrow()[cpu as usize] else { return };
        let current = Entry { root, unmaps: self.tlbs.unmaps.borrow()[root] };
        let entry = &mut self.tlbs.entries.borrow_mut()[cpu as usize][usize::from(tag)];
        let found = *entry.get_or_insert(current);
        assert_eq!(found, current, "CPU {cpu} uses a stale entry under tag {tag}");
    }

    /// Unmaps the space's page, as CPU `cpu`; then everybody who runs it uses it.
    pub fn unmap(&self, cpu: u32, space: &User<T>) {
        self.tlbs.unmaps.borrow_mut()[space.root()] += 1;
        let page = PageRange::page(VirtAddr(0));
        self.on(cpu, || self.engine().flush(space, FlushRequest::pages(page)));
        let loaded = self.loaded.borrow().clone();
        for (cpu, _) in loaded.iter().enumerate().filter(|(_, loaded)| loaded.0 == Some(space.root())) {
            self.touch(cpu as u32);
        }
    }
}

/// A machine of `cpus` CPUs with its engine; `tags` makes the policy.
pub fn machine<T: TagPolicy>(
    cpus: u32,
    tags: impl FnOnce(&'static Tlbs) -> T,
) -> &'static Shootdown<Host<T>> {
    let tlbs: &'static Tlbs = Box::leak(Box::default());
    tlbs.entries.borrow_mut().resize(cpus as usize, vec![None; 1 << 8]);
    let host = Host {
        locals: (0..cpus).map(|_| CpuLocal::new()).collect(),
        cpu: Cell::new(0),
        tags: tags(tlbs),
        tlbs,
        loaded: RefCell::new(vec![(None, 0); cpus as usize]),
        pending_ipis: RefCell::default(),
        refuses: Cell::new(false),
        engine: OnceCell::new(),
    };
    let engine = &*Box::leak(Box::new(Shootdown::new(host, CpuMask::new())));
    assert!(engine.platform().engine.set(engine).is_ok());
    tlbs.everything.borrow_mut().resize(cpus as usize, 0);
    for cpu in 0..cpus {
        engine.platform().on(cpu, || engine.online_cpu()).expect("64 CPUs fit");
    }
    tlbs.everything.borrow_mut().fill(0);
    engine
}

/// So many spaces.
pub fn spaces<T: TagPolicy>(engine: &'static Shootdown<Host<T>>, count: usize) -> Vec<User<T>> {
    let tlbs = engine.platform().tlbs;
    let new = || {
        let root = tlbs.unmaps.borrow().len();
        tlbs.unmaps.borrow_mut().push(0);
        let space = engine.new_space(root, CpuMask::new()).expect("64 CPUs fit");
        engine.register(&*Box::leak(Box::new(space))).map_err(|refused| refused.0).expect("registered once")
    };
    (0..count).map(|_| new()).collect()
}
