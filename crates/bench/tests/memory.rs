//! Long recordings must not take more memory than short ones.

use shootdown_bench::policy::PolicyKind;
use shootdown_bench::trace::{ImportOptions, Invented, Reader, import, replay};
use std::alloc::{GlobalAlloc, Layout, System};
use std::io::{BufReader, Cursor};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that are allocated, and the most that ever were.
struct Watching {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[global_allocator]
static MEMORY: Watching = Watching { now: AtomicUsize::new(0), most: AtomicUsize::new(0) };

// SAFETY: the system's allocator does all of it.
unsafe impl GlobalAlloc for Watching {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = self.now.fetch_add(layout.size(), Relaxed) + layout.size();
        self.most.fetch_max(now, Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.now.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are the same.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// What `work` needs beyond what is there before it.
fn needs<R>(work: impl FnOnce() -> R) -> (R, usize) {
    let before = MEMORY.now.load(Relaxed);
    MEMORY.most.store(before, Relaxed);
    let answer = work();
    (answer, MEMORY.most.load(Relaxed) - before)
}

/// Imports an invented recording of so many bytes.
fn imported(bytes: u64) -> (Vec<u8>, u32, usize) {
    // Room for the whole trace, so that its growth is not counted.
    let mut out = Cursor::new(Vec::with_capacity(bytes as usize / 8));
    let text = BufReader::new(Invented::new(bytes, 4, 7));
    let (found, needed) = needs(|| import(text, &mut out, ImportOptions::default(), |_| ()).expect("text"));
    assert_eq!(found.others, 0);
    (out.into_inner(), found.spaces, needed)
}

#[test]
fn eight_times_the_recording_takes_no_more_memory() {
    let ((short, few, needed), (long, many, needed_for_long)) = (imported(4 << 20), imported(32 << 20));
    assert!(many > 6 * few && few > 100, "spaces: {few} and {many}");
    assert!(needed_for_long < needed + needed / 4, "import: {needed} and {needed_for_long} bytes");
    // Of these two memory grows with the recording: one knows every TLB, the other leaves entries behind that nobody flushes.
    let grows = [PolicyKind::ExactSharers, PolicyKind::LinuxSparc64Racy];
    for policy in PolicyKind::ALL.into_iter().filter(|kind| !grows.contains(kind)) {
        let run = |trace: &[u8]| {
            let (run, needed) = needs(|| replay(policy, Reader::new(trace).expect("a trace"), false, |_| ()));
            assert!(run.error.is_none() && run.outcome.stuck == 0, "{}", policy.name());
            assert!(!policy.is_safe() || run.outcome.totals.violations == 0, "{}", policy.name());
            needed
        };
        let (needed, needed_for_long) = (run(&short), run(&long));
        assert!(
            needed_for_long < needed + needed / 4,
            "replay under {}: {needed} and {needed_for_long} bytes",
            policy.name()
        );
    }
}
