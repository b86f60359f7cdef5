// A machine of four CPUs with TLBs, for the examples in the documentation. It is not part of the crate: each example
// includes this file. An IPI is handled at once, on its target, so that every example is deterministic.

use shootdown::flush::{LocalFlush, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::{Teardown, TeardownHandle, UserRef};
use shootdown::tags::{OnInstall, Tag};
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, Shootdown};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// A user reference of this machine.
#[allow(dead_code)]
pub type User = UserRef<'static, Machine>;

#[cfg(feature = "per-cpu-tags")]
type Tags = shootdown::tags::PerCpuSlots<4>;
#[cfg(feature = "per-cpu-tags")]
const TAGS: Tags = shootdown::tags::PerCpuSlots;
#[cfg(not(feature = "per-cpu-tags"))]
type Tags = shootdown::tags::Untagged;
#[cfg(not(feature = "per-cpu-tags"))]
const TAGS: Tags = shootdown::tags::Untagged;

/// What a CPU has: the root and tag that are loaded, and its TLB, from tag and page to frame.
#[derive(Default)]
pub struct Cpu {
    root: Option<u64>,
    tag: u16,
    tlb: BTreeMap<(u16, u64), u64>,
}

/// The machine; page tables are a map from root and page to frame.
pub struct Machine {
    locals: [CpuLocal; 4],
    me: Mutex<u32>,
    cpus: Mutex<BTreeMap<u32, Cpu>>,
    tables: Mutex<BTreeMap<(u64, u64), u64>>,
    deferred: Mutex<Vec<TeardownHandle<Machine>>>,
    freed_roots: Mutex<Vec<u64>>,
}

/// The engine.
pub static ENGINE: Shootdown<Machine> = Shootdown::new(
    Machine {
        locals: [const { CpuLocal::new() }; 4],
        me: Mutex::new(0),
        cpus: Mutex::new(BTreeMap::new()),
        tables: Mutex::new(BTreeMap::new()),
        deferred: Mutex::new(Vec::new()),
        freed_roots: Mutex::new(Vec::new()),
    },
    CpuMask::new(),
);

#[allow(dead_code)]
impl Machine {
    fn on_this_cpu<R>(&self, what: impl FnOnce(&mut Cpu) -> R) -> R {
        let me = *self.me.lock().unwrap();
        what(self.cpus.lock().unwrap().entry(me).or_default())
    }

    /// Makes the next deferred teardown one that can be finished.
    pub fn next_deferred(&self) -> Option<TeardownHandle<Machine>> {
        self.deferred.lock().unwrap().pop()
    }

    /// Whether this root was given back.
    pub fn is_freed(&self, root: u64) -> bool {
        self.freed_roots.lock().unwrap().contains(&root)
    }
}

// SAFETY: one thread runs all four CPUs in turn: an example is on one of them at a time, and `on` says on which.
unsafe impl Platform for Machine {
    type Root = u64;
    type Mask = CpuMask<1>;
    type Handle = &'static AddressSpace<Machine>;
    type Tags = Tags;
    type Pin = ();
    const USER_MODE: bool = true;

    fn pin(&self) {}
    fn cpu(&self) -> CpuId {
        CpuId::new(*self.me.lock().unwrap())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.locals[cpu.index()]
    }
    fn irq_save(&self, _: IrqReason) -> bool {
        true
    }
    fn irq_restore(&self, _: bool) {}
    fn tags(&self) -> &Tags {
        &TAGS
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let under = |entry| what.tag.is_none_or(|tag| tag.number() == entry);
        let covers = |page| what.request.range().is_none_or(|range| holds(range, page));
        self.on_this_cpu(|cpu| cpu.tlb.retain(|&(tag, page), _| !(under(tag) && covers(page))))
    }
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        self.on_this_cpu(|cpu| {
            (cpu.root, cpu.tag) = (root, tag.number());
            // As hardware without tags does at every load.
            if how == OnInstall::Flush || tag == Tag::NONE {
                cpu.tlb.retain(|&(t, _), _| t != tag.number());
            }
        })
    }
    fn send_ipi(&self, cpu: CpuId) {
        // SAFETY: 1. nothing interrupts an example; 2. the target is another CPU, which is in no call of the engine.
        on(cpu.number(), || unsafe { ENGINE.handle_ipi() })
    }
    unsafe fn free_root(&self, space: Self::Handle) {
        self.freed_roots.lock().unwrap().push(space.root());
    }
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        self.deferred.lock().unwrap().push(teardown.into_handle());
    }
}

fn holds(range: PageRange, page: u64) -> bool {
    page.wrapping_sub(range.start().0) < range.count() * range.size().bytes()
}

/// Runs `body` on a CPU.
pub fn on<R>(cpu: u32, body: impl FnOnce() -> R) -> R {
    let before = std::mem::replace(&mut *ENGINE.platform().me.lock().unwrap(), cpu);
    let answer = body();
    *ENGINE.platform().me.lock().unwrap() = before;
    answer
}

/// Brings the four CPUs on line and makes a space with this root, registered.
#[allow(dead_code)]
pub fn boot(root: u64) -> User {
    (0..4).for_each(|cpu| on(cpu, || ENGINE.online_cpu().unwrap()));
    space(root)
}

/// Makes another space.
#[allow(dead_code)]
pub fn space(root: u64) -> User {
    let space = Box::leak(Box::new(ENGINE.new_space(root, CpuMask::new()).unwrap()));
    ENGINE.register(space).map_err(|(error, _)| error).unwrap()
}

/// Maps a page: writes the page-table entry.
#[allow(dead_code)]
pub fn map(space: &AddressSpace<Machine>, page: u64, frame: u64) {
    ENGINE.platform().tables.lock().unwrap().insert((space.root(), page), frame);
}

/// Clears the page-table entry, and returns the frame. TLBs may go on holding the translation.
#[allow(dead_code)]
pub fn unmap(space: &AddressSpace<Machine>, page: u64) -> Option<u64> {
    ENGINE.platform().tables.lock().unwrap().remove(&(space.root(), page))
}

/// The frame that this CPU reaches at a page: by its TLB, else by a page walk that fills the TLB.
#[allow(dead_code)]
pub fn load(page: u64) -> Option<u64> {
    let platform = ENGINE.platform();
    let tables = platform.tables.lock().unwrap();
    platform.on_this_cpu(|cpu| {
        let entry = (cpu.tag, page);
        if let Some(&frame) = cpu.tlb.get(&entry) {
            return Some(frame);
        }
        let frame = *tables.get(&(cpu.root?, page))?;
        cpu.tlb.insert(entry, frame);
        Some(frame)
    })
}

/// A page of 4 KiB.
#[allow(dead_code)]
pub fn page(address: u64) -> PageRange {
    PageRange::page(VirtAddr(address))
}

/// IPIs that were sent, by all CPUs.
#[allow(dead_code)]
pub fn ipis() -> u64 {
    ENGINE.platform().locals.iter().map(|local| local.counters().ipis_sent()).sum()
}
