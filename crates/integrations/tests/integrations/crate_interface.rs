//! An engine whose platform is linked in: this file has both sides.

use shootdown::flush::{FlushRequest, LocalFlush, PageRange, Remote, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::tags::{OnInstall, Tag, Untagged};
use shootdown::trace::Event;
use shootdown::trace::IrqReason;
use shootdown::{AddressSpace, CpuLocal, Shootdown};
use shootdown_integrations::crate_interface::{Handle, Linked, PlatformIf};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

type Machine = Linked<Untagged, 1>;

/// A kernel's own object around a space.
struct Process {
    space: AddressSpace<Machine>,
}

impl Drop for Process {
    fn drop(&mut self) {
        DID.lock().expect("no panic").push("the process is dropped".into());
    }
}

static LOCAL: CpuLocal = CpuLocal::new();
static DID: Mutex<Vec<String>> = Mutex::new(Vec::new());
static PINS: AtomicUsize = AtomicUsize::new(0);

struct Hardware;

#[crate_interface::impl_interface(namespace = Shootdown)]
impl PlatformIf for Hardware {
    fn cpu() -> u32 {
        0
    }
    fn local(_cpu: u32) -> &'static CpuLocal {
        &LOCAL
    }
    fn pin() {
        PINS.fetch_add(1, SeqCst);
    }
    fn unpin() {
        PINS.fetch_sub(1, SeqCst);
    }
    fn irq_save(_reason: IrqReason) -> bool {
        true
    }
    fn irq_restore(_were_on: bool) {}
    fn flush_local(what: LocalFlush) {
        DID.lock().expect("no panic").push(format!("flush {what:?}"));
    }
    fn flush_remote(_tag: Option<Tag>, _request: FlushRequest) -> Remote {
        Remote::NeedsIpi
    }
    fn install(root: Option<u64>, _tag: Tag, _how: OnInstall) {
        DID.lock().expect("no panic").push(format!("install {root:x?}"));
    }
    fn send_ipi(_cpu: u32) {}
    fn publish_tables() {}
    fn free_root(root: u64) {
        DID.lock().expect("no panic").push(format!("free root {root:#x}"));
    }
    fn defer_teardown(object: usize) {
        // Nobody runs late here: the count stays.
        DID.lock().expect("no panic").push(format!("deferred, {}", object != 0));
    }
    fn retain(object: usize) {
        let process = std::ptr::with_exposed_provenance::<Process>(object);
        // SAFETY: the object is the pointer of an `Arc` that is counted.
        unsafe { Arc::increment_strong_count(process) };
    }
    fn release(object: usize) {
        let process = std::ptr::with_exposed_provenance::<Process>(object);
        // SAFETY: as above; the count is the caller's.
        unsafe { Arc::decrement_strong_count(process) };
    }
    fn relax(_polls: u64) {}
    fn stalled(_cpu: u32, _polls: u64) {}
    fn event(_event: Event) {}
}

fn handle(process: Arc<Process>) -> Handle<Untagged, 1> {
    let pointer = Arc::into_raw(process);
    // SAFETY: the pointer is an `Arc`'s.
    let space = NonNull::from(unsafe { &(*pointer).space });
    // SAFETY: 1. an `Arc` does not move; 2. `Hardware` counts it; 3. the count of `into_raw`.
    unsafe { Handle::new(space, pointer.expose_provenance()) }
}

#[test]
fn an_engine_runs_on_the_linked_platform_and_counts_the_kernel_s_objects() {
    // SAFETY: 1. there is one CPU without a TLB.
    let platform: Machine = unsafe { Linked::new(Untagged) };
    let engine = Shootdown::new(platform, CpuMask::new());
    engine.online_cpu().expect("one CPU fits");
    let space = engine.new_space(0x1000, CpuMask::new()).expect("the masks are alike");
    let user = engine.register(handle(Arc::new(Process { space }))).expect("a new space");
    engine.switch_to(&user);
    DID.lock().expect("no panic").clear();

    let pages = PageRange::page(VirtAddr(0x40_0000));
    engine.flush(&user, FlushRequest::pages(pages));
    let flush = LocalFlush { tag: Some(Tag::NONE), request: FlushRequest::pages(pages) };
    assert_eq!(std::mem::take(&mut *DID.lock().expect("no panic")), [format!("flush {flush:?}")]);
    assert_eq!(PINS.load(SeqCst), 0, "each pin is undone");

    engine.enter_lazy();
    let kept = user.grab();
    user.put().expect("the last user").finish();
    assert!(kept.upgrade().is_err());
    drop(kept);
    let did = std::mem::take(&mut *DID.lock().expect("no panic"));
    assert_eq!(did, ["install None", "free root 0x1000", "the process is dropped"]);
}
