//! A small kernel that runs the engine on real page tables, interrupts and TLBs, and looks for stale translations.
//!
//! Each scenario is a set of tasks that unmap, remap, write-protect, fork, borrow and exit under each other. Frames
//! carry canaries that say whose they are; each task that reads through a user mapping checks what it meets.
//!
//! `arch/` is what differs between machines, `space.rs` and `machine.rs` are what an embedder writes, `findings.rs` is
//! what must not happen, `ending.rs` says when a scenario ends, and `scenarios/` has what runs.
//!
//! # What it takes from others, and what not
//! The heap (`linked_list_allocator`), frame numbers (`slab`, which gives out first what was given back last: stale
//! translations meet new owners) and locks (`spin`) are crates. Starting CPUs and interrupts are ours, about 1,400
//! lines for three machines:
//! - axplat 0.4 builds on stable Rust for riscv64 alone: on x86-64 it takes `x86_64` with its nightly features (by
//!   `page_table_entry`), on aarch64 `arm_pl011` 0.1.1, which is nightly's. On riscv64 its handler clears the IPI after
//!   it has handled it, so IPIs are lost. It brings 60 to 78 crates.
//! - Single devices: `uart_16550` 0.9 asks for Rust 1.91, and replaces six lines; `arm-gic` 0.10 and `smccc` 0.2
//!   replace 75 and 10 lines, with 20 and 6 crates, and the barrier before an IPI would stay ours; `x2apic` 0.5 sends
//!   without waiting for the command before; `sbi-rt` replaces two calls.
//! - `page_table_multiarch` 0.6 frees tables only with their root, so that no scenario could give one back earlier.
//!
//! If an IPI is lost all the same, another is sent: scenario `lost-ipis`.
#![no_std]
#![no_main]

extern crate alloc;

mod arch;
mod canary;
mod console;
mod ending;
mod findings;
mod frames;
mod lock;
mod machine;
mod paging;
mod params;
mod platform;
mod scenarios;
mod sched;
mod space;
mod window;

use arch::MAX_CPUS;
use console::say;
use core::sync::atomic::{AtomicUsize, Ordering};
use linked_list_allocator::Heap;
use machine::ENGINE;
use params::Broken;
use shootdown::Platform;
use shootdown::tags::{OnInstall, Tag};

const STACK: usize = 64 << 10;

/// A stack for each CPU, which `boot.s` hands out.
#[repr(C, align(4096))]
struct Stacks(core::cell::UnsafeCell<[[u8; STACK]; MAX_CPUS]>);

// SAFETY: each CPU uses the stack of its number.
unsafe impl Sync for Stacks {}

#[unsafe(no_mangle)]
static STACKS: Stacks = Stacks(core::cell::UnsafeCell::new([[0; STACK]; MAX_CPUS]));

/// The kernel's heap.
struct Memory(lock::Mutex<Heap>);

#[global_allocator]
static MEMORY: Memory = Memory(lock::Mutex::new(Heap::empty()));

// SAFETY: the heap under the lock hands out memory that nobody else has, of the size and alignment asked for.
unsafe impl core::alloc::GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: core::alloc::Layout) -> *mut u8 {
        self.0.lock().allocate_first_fit(layout).map_or(core::ptr::null_mut(), core::ptr::NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: core::alloc::Layout) {
        let Some(memory) = core::ptr::NonNull::new(memory) else { return };
        // SAFETY: the caller got it from `alloc` with this layout.
        unsafe { self.0.lock().deallocate(memory, layout) };
    }
}

static ONLINE: AtomicUsize = AtomicUsize::new(0);

/// Where the CPU that boots begins.
pub(crate) fn main_first() -> ! {
    let (heap, size) = arch::HEAP;
    // SAFETY: the memory is used for nothing else, and this is done once.
    unsafe { MEMORY.0.lock().init(heap as *mut u8, size) };
    let params = params::read();
    remove(params.broken);
    if params.shared_thread {
        sched::give_way();
    }
    frames::init();
    ENGINE.platform().init(paging::init());
    go_online();
    arch::start_others(params.cpus);
    while ONLINE.load(Ordering::Acquire) < params.cpus {
        arch::yield_now();
    }
    say!(
        "@{{\"event\":\"boot\",\"arch\":\"{}\",\"cpus\":{},\"ms\":{}}}",
        arch::NAME,
        params.cpus,
        arch::ticks() * 1000 / arch::ticks_per_second()
    );
    let clean = scenarios::run_chosen(&params);
    arch::exit(u8::from(!clean));
}

/// Where other CPUs begin.
pub(crate) fn main_other() -> ! {
    go_online();
    scenarios::help()
}

/// Loads the kernel's tables and takes part from here on.
fn go_online() {
    let kernel = ENGINE.platform();
    kernel.mmu().irq_save();
    arch::prepare_cpu(&kernel.mmu());
    // SAFETY: 1. interrupts are off; 2. the kernel's own tables are never given back; 3. nothing was cached before.
    unsafe { kernel.install(None, Tag::NONE, OnInstall::Flush) };
    ENGINE.online_cpu().expect("a CPU number that fits");
    ONLINE.fetch_add(1, Ordering::AcqRel);
    kernel.mmu().irq_restore(true);
}

fn remove(broken: Broken) {
    match broken {
        Broken::Nothing => {}
        Broken::SingleUser => machine::SINGLE_USER_SHORT_CUT.store(true, Ordering::Relaxed),
        #[cfg(shootdown_break)]
        Broken::Rule(rule) => {
            shootdown::fault::inject(
                shootdown::fault::rule(rule).expect("a rule of shootdown::trace::rules"),
            );
        }
        #[cfg(not(shootdown_break))]
        Broken::Rule(rule) => panic!("SD-{rule} can be removed in builds with --cfg shootdown_break alone"),
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    let [a, b, c, d, e, f, g, h] = callers();
    console::last_line(format_args!(
        "@{{\"event\":\"panic\",\"cpu\":{},\"pcs\":[{a},{b},{c},{d},{e},{f},{g},{h}]}}",
        arch::this_cpu()
    ));
    console::last_line(format_args!("{info}"));
    arch::exit(2)
}

/// Where the callers of this function are to go on, innermost first; 0 where there are no more.
fn callers() -> [u64; 8] {
    let stacks = STACKS.0.get() as u64;
    let end = stacks + (STACK * MAX_CPUS) as u64;
    let (return_at, previous_at) = arch::FRAME;
    let word = |frame: u64, offset: i64| {
        let at = frame.checked_add_signed(offset)?;
        let lies_there = (stacks..end).contains(&at) && at % 8 == 0;
        // SAFETY: it is a word of a stack: those begin and end with whole words.
        lies_there.then(|| unsafe { (at as *const u64).read_volatile() })
    };
    let mut frame = arch::frame_pointer();
    [(); 8].map(|()| {
        let (Some(pc), Some(previous)) = (word(frame, return_at), word(frame, previous_at)) else { return 0 };
        // Stacks grow down: who called has a frame above.
        frame = if previous > frame { previous } else { 0 };
        pc
    })
}
