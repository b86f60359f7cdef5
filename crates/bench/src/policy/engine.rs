//! The shipped engine on the machine.

use crate::machine::{
    COSTS, LARGE, LARGE_SHIFT, PageTables, Pages, Policy, Request, forget_lines, pass, suspend, with,
};
use shootdown_instrumented::flush::{FlushCosts, FlushRequest, LocalFlush, PageRange, PageSize, VirtAddr};
use shootdown_instrumented::mask::{CpuMask, CpuSet, OnLeave};
use shootdown_instrumented::refs::{SpaceHandle, Teardown, UserRef};
use shootdown_instrumented::tags::{OnInstall, PerCpuSlots, Tag, TagPolicy, Untagged};
use shootdown_instrumented::trace::IrqReason;
use shootdown_instrumented::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// Makes the engine's policy with a mask that is wide enough.
pub(super) fn policy(cpus: u32, tags: bool, keep: bool) -> Rc<dyn Policy> {
    match (cpus, tags, keep) {
        (..=64, true, true) => engine::<_, 1, true>(PerCpuSlots::<6>, cpus),
        (..=64, true, false) => engine::<_, 1, false>(PerCpuSlots::<6>, cpus),
        (..=64, false, true) => engine::<_, 1, true>(Untagged, cpus),
        (..=64, false, false) => engine::<_, 1, false>(Untagged, cpus),
        (..=512, true, true) => engine::<_, 8, true>(PerCpuSlots::<6>, cpus),
        (..=512, true, false) => engine::<_, 8, false>(PerCpuSlots::<6>, cpus),
        (..=512, false, true) => engine::<_, 8, true>(Untagged, cpus),
        (..=512, false, false) => engine::<_, 8, false>(Untagged, cpus),
        (_, true, true) => engine::<_, 64, true>(PerCpuSlots::<6>, cpus),
        (_, true, false) => engine::<_, 64, false>(PerCpuSlots::<6>, cpus),
        (_, false, true) => engine::<_, 64, true>(Untagged, cpus),
        (_, false, false) => engine::<_, 64, false>(Untagged, cpus),
    }
}

fn engine<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool>(
    tags: T,
    cpus: u32,
) -> Rc<dyn Policy> {
    let locals = (0..cpus).map(|_| CpuLocal::new()).collect();
    let engine = Shootdown::new(Host { locals, tags }, CpuMask::new());
    // An engine lives as long as its kernel; references to spaces borrow it.
    let engine: &'static Line<_> = Box::leak(Box::new(Line(engine)));
    Rc::new(Engine::<T, WORDS, KEEP> { engine: &engine.0, spaces: RefCell::default() })
}

/// Begins on a line of its own wherever the allocator puts it, so that lines are the same in every run.
#[repr(align(128))]
struct Line<T>(T);

/// Prices of the simulated machine; how much a CPU uses of a space is what the engine expects by itself.
const PRICES: FlushCosts = FlushCosts {
    page: COSTS.flush_page,
    tag: COSTS.flush_tag,
    refill: COSTS.walk,
    refills: FlushCosts::TYPICAL.refills,
};

/// The simulated machine, as the engine sees it.
struct Host<T, const WORDS: usize, const KEEP: bool> {
    locals: Vec<CpuLocal>,
    tags: T,
}

type Space<T, const WORDS: usize, const KEEP: bool> = AddressSpace<Host<T, WORDS, KEEP>>;

/// A space, and the memory that it is in.
struct Held<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool>(Line<Space<T, WORDS, KEEP>>);

impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> Drop for Held<T, WORDS, KEEP> {
    fn drop(&mut self) {
        let address = std::ptr::from_ref(&self.0).addr() as u64;
        let bytes = size_of::<Line<Space<T, WORDS, KEEP>>>() as u64;
        forget_lines(address, bytes);
    }
}

struct Handle<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool>(Arc<Held<T, WORDS, KEEP>>);

impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> Clone for Handle<T, WORDS, KEEP> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

// SAFETY: 1. clones of an `Arc` lead to one object; 2. which does not move, and goes with the last of them.
unsafe impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> SpaceHandle<Host<T, WORDS, KEEP>>
    for Handle<T, WORDS, KEEP>
{
    fn space(&self) -> &AddressSpace<Host<T, WORDS, KEEP>> {
        &self.0.0.0
    }
}

// SAFETY: 1. `current` is the CPU whose coroutine or handler runs, and one runs at a time; 2. `locals` never changes; 3. the
// machine delivers IPIs only between operations and in `relax`, and moves nothing; 4. the machine's TLB does it at once; 5.
// each IPI becomes an event, after which the machine calls `handle_ipi`; 6. `flush_remote` is the default.
unsafe impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> Platform for Host<T, WORDS, KEEP> {
    type Root = u32;
    type Mask = CpuMask<WORDS>;
    type Handle = Handle<T, WORDS, KEEP>;
    type Tags = T;
    type Pin = ();

    const STALL_POLLS: u64 = u64::MAX;
    const FLUSH_COSTS: FlushCosts = PRICES;
    const ON_LEAVE: OnLeave = if KEEP { OnLeave::KeepBit } else { OnLeave::RemoveBit };
    const MULTICAST: bool = true;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(with(|hw| hw.current))
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
        let tables = if what.request.frees_tables() { PageTables::Freed } else { PageTables::Kept };
        with(|hw| match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                hw.flush_pages(tag.number(), pages_of(range), tables);
            }
            (Some(tag), None) => hw.flush_tag(tag.number()),
            (None, _) => hw.flush_everything(),
        });
        pass();
    }
    unsafe fn install(&self, root: Option<u32>, tag: Tag, how: OnInstall) {
        with(|hw| hw.install(root, tag.number(), how == OnInstall::Keep));
    }
    fn send_ipi(&self, cpu: CpuId) {
        with(|hw| hw.send_ipi(cpu.number()));
    }
    fn send_ipis(&self, cpus: CpuSet) {
        with(|hw| hw.send_ipis(cpus.map(CpuId::number)));
    }
    unsafe fn free_root(&self, handle: Self::Handle) {
        with(|hw| hw.free_root(handle.space().root()));
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        // Only spaces that a workload leaves behind come here, at the end of a run.
        let _ = teardown.into_handle();
    }
    fn relax(&self, _: u64) {
        suspend();
    }
}

/// The pages of a range of the engine's.
fn pages_of(range: PageRange) -> Pages {
    let number = range.start().0 >> range.size().shift();
    match range.size() {
        PageSize::Size2M => Pages { first: LARGE | number, count: range.count() },
        _ => Pages { first: number, count: range.count() },
    }
}

/// The range of pages of a workload.
fn range_of(pages: Pages) -> PageRange {
    let (first, size) = match pages.first & LARGE {
        0 => (pages.first, PageSize::Size4K),
        _ => (pages.first ^ LARGE, PageSize::Size2M),
    };
    debug_assert_eq!(PageSize::Size2M.shift() - PageSize::Size4K.shift(), LARGE_SHIFT);
    PageRange::new(VirtAddr(first << size.shift()), pages.count, size).expect("pages of a workload")
}

type User<T, const WORDS: usize, const KEEP: bool> = UserRef<'static, Host<T, WORDS, KEEP>>;

/// The references to a space that has not ended.
enum Life<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> {
    Live(Rc<User<T, WORDS, KEEP>>),
    Exiting(Teardown<'static, Host<T, WORDS, KEEP>>),
    /// Between the two: the last user is giving up.
    Ending,
}

type Entry<T, const WORDS: usize, const KEEP: bool> = (Life<T, WORDS, KEEP>, Handle<T, WORDS, KEEP>);

struct Engine<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> {
    engine: &'static Shootdown<Host<T, WORDS, KEEP>>,
    spaces: RefCell<HashMap<u32, Entry<T, WORDS, KEEP>>>,
}

impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> Engine<T, WORDS, KEEP> {
    fn user(&self, space: u32) -> Option<Rc<User<T, WORDS, KEEP>>> {
        match &self.spaces.borrow().get(&space)?.0 {
            Life::Live(user) => Some(Rc::clone(user)),
            _ => None,
        }
    }

    fn handle(&self, space: u32) -> Option<Handle<T, WORDS, KEEP>> {
        self.spaces.borrow().get(&space).map(|entry| entry.1.clone())
    }
}

impl<T: TagPolicy + 'static, const WORDS: usize, const KEEP: bool> Policy for Engine<T, WORDS, KEEP> {
    fn boot(&self, cpus: u32) {
        for cpu in 0..cpus {
            with(|hw| hw.current = cpu);
            self.engine.online_cpu().expect("the mask holds all CPUs");
        }
    }

    fn create(&self, space: u32) {
        let made = self.engine.new_space(space, CpuMask::new()).expect("both masks are as wide");
        let handle = Handle(Arc::new(Held(Line(made))));
        let registered = self.engine.register(handle.clone()).map_err(|(refused, _)| refused);
        let user = registered.expect("the space is new");
        self.spaces.borrow_mut().insert(space, (Life::Live(Rc::new(user)), handle));
    }

    fn switch(&self, space: u32) {
        if let Some(user) = self.user(space) {
            self.engine.switch_to(&user);
        }
    }

    fn enter_lazy(&self) {
        self.engine.enter_lazy();
    }

    fn borrow(&self, space: u32) {
        if let Some(user) = self.user(space) {
            // The borrow ends when the workload says so.
            std::mem::forget(self.engine.borrow(&user).expect("a kernel thread borrows"));
        }
    }

    fn flush(&self, request: &Request<'_>) {
        // Recordings may flush a space that has ended.
        let Some(handle) = self.handle(request.space) else { return };
        let space = handle.space();
        if request.pages.count == 0 {
            let all = FlushRequest::all();
            let freed = request.tables == PageTables::Freed;
            return self.engine.flush(space, if freed { all.tables_freed() } else { all });
        }
        let range = range_of(request.pages);
        let mut gather = self.engine.gather_within::<(), 1>(space, range);
        match request.tables {
            PageTables::Freed => gather.table_freed(range, ()).expect("the gather is empty"),
            PageTables::Kept => gather.unmapped(range, ()).expect("the gather is empty"),
        }
        gather.finish();
    }

    fn last_user(&self, space: u32) {
        let mut spaces = self.spaces.borrow_mut();
        let Some((entry, _)) = spaces.get_mut(&space) else { return };
        let Life::Live(user) = std::mem::replace(entry, Life::Ending) else { return };
        if let Some(teardown) = Rc::into_inner(user).and_then(UserRef::put) {
            *entry = Life::Exiting(teardown);
        }
    }

    fn end(&self, space: u32) {
        let ended = self.spaces.borrow_mut().remove(&space);
        if let Some((Life::Exiting(teardown), _)) = ended {
            teardown.finish();
        }
    }

    fn handle_ipi(&self) {
        // SAFETY: 1. simulated CPUs take interrupts between calls; 2. so none is at work.
        unsafe { self.engine.handle_ipi() };
    }

    fn finish(&self) {
        let locals = &self.engine.platform().locals;
        let merged = locals.iter().map(|local| local.counters().ipis_coalesced()).sum();
        with(|hw| hw.totals.merged = merged);
    }
}
