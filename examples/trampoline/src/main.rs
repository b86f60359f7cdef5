//! A kernel for riscv64 that loads roots in a trampoline, after its last line of Rust, and uses the engine's coherence
//! layer alone: it says which space a hart enters, and holds frames until no hart can reach them.
//!
//! Four threads share a space and read its data pages in user mode. One of them has page after page replaced: the
//! kernel unmaps it, and the frame goes to another owner, who writes to it. A thread that reads what another owner
//! wrote has used a stale translation.
//!
//! `cargo run --release` boots it in QEMU; with `--features forget-the-flush` frames are reused without a flush.
#![no_std]
#![no_main]

mod paging;
mod platform;

use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use paging::Mapping;
use platform::Machine;
use shootdown::coherence::{Coherent, Rootless, Space};
use shootdown::mask::CpuMask;
use shootdown_riscv64::encode::SbiCall;
use shootdown_riscv64::exec;

global_asm!(include_str!("trampoline.s"));

/// Harts of the machine; each runs one thread.
pub const HARTS: usize = 4;
/// Data pages.
pub const PAGES: usize = 4;
/// How many pages are replaced before the process ends.
const REPLACEMENTS: usize = 200;
/// The contents of a frame that belongs to the space, and of one that belongs to another owner.
const GOOD: u64 = 0x600d;
const BAD: u64 = 0xbad;

static ENGINE: Coherent<Machine> = Coherent::new(Rootless::new(Machine::new()), CpuMask::new());
static PROCESS: Once<Space<Machine>> = Once::new();
static STALE_READS: AtomicU64 = AtomicU64::new(0);
static REPLACED: AtomicUsize = AtomicUsize::new(0);
/// Harts whose thread has ended.
static ENDED: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    static trampoline: u8;
    static user_return: u8;
    static user_program: u8;
}

/// Where the stacks are that `trampoline.s` hands out.
#[unsafe(no_mangle)]
static STACKS: Memory<{ HARTS << 14 }> = Memory(UnsafeCell::new([0; HARTS << 14]));

/// Memory that assembly and the MMU write.
#[repr(C, align(4096))]
struct Memory<const N: usize>(UnsafeCell<[u8; N]>);
// SAFETY: each hart uses its own stack.
unsafe impl<const N: usize> Sync for Memory<N> {}

/// The first hart that comes prepares the machine and starts the others.
#[unsafe(no_mangle)]
extern "C" fn start(hart: usize) -> ! {
    static FIRST: AtomicUsize = AtomicUsize::new(0);
    if FIRST.fetch_add(1, Ordering::Relaxed) == 0 {
        paging::prepare();
        let space = ENGINE.new_space(paging::user_satp(), CpuMask::new()).expect("one word each");
        PROCESS.set(space);
        for other in (0..HARTS).filter(|&other| other != hart) {
            let arguments = [other as u64, start_address(), 0, 0, 0];
            // SAFETY: 1. supervisor mode; 2. the hart begins with memory of its own.
            let error = unsafe { exec::sbi_call(SbiCall { extension: 0x48_534d, function: 0, arguments }) };
            assert!(error == 0, "hart {other} does not start: {error}");
        }
    }
    prepare_hart(hart);
    ENGINE.online_cpu().expect("the mask has room for four");
    return_to_user(hart)
}

fn start_address() -> u64 {
    unsafe extern "C" {
        static _start: u8;
    }
    &raw const _start as u64
}

/// Loads the kernel's root, and has traps from user mode and software interrupts come.
fn prepare_hart(hart: usize) {
    let record = paging::set_trap_record(hart, trap as *const () as u64, stack_top(hart));
    // SAFETY: 1. supervisor mode; the root maps the running kernel where it lies.
    unsafe { exec::write_satp(paging::kernel_satp()) };
    // SAFETY: the vector is the trampoline, which all roots map there; nothing uses floating point.
    unsafe {
        asm!(
            "sfence.vma", "csrw stvec, {vector}", "csrw sscratch, {record}", "csrw sie, 2",
            vector = in(reg) paging::TRAMPOLINE, record = in(reg) record
        );
    }
}

fn stack_top(hart: usize) -> u64 {
    STACKS.0.get() as u64 + ((hart as u64 + 1) << 14)
}

/// Enters the space, and leaves Rust for the trampoline, which loads the root.
fn return_to_user(hart: usize) -> ! {
    const PREVIOUS_MODE_AND_INTERRUPTS: u64 = 1 << 8 | 1 << 5;
    let process = PROCESS.get();
    let entry = ENGINE.enter(process);
    // SAFETY: 1. Rust runs on the kernel's root; 2. interrupts are off in the kernel, and the trampoline flushes with each load;
    // 3. `PROCESS` is a static, retired at the end; 4. nothing else is called.
    unsafe { entry.will_load() };
    let code = &raw const user_return as u64 - &raw const trampoline as u64 + paging::TRAMPOLINE;
    // SAFETY: the registers say that `sret` goes to the user's program with interrupts on; the code is mapped by both roots.
    unsafe {
        asm!(
            "csrc sstatus, {mode}", "csrs sstatus, {interrupts}", "csrw sepc, {pc}", "jr {code}",
            mode = in(reg) PREVIOUS_MODE_AND_INTERRUPTS, interrupts = in(reg) 1 << 5, pc = in(reg) paging::USER_CODE,
            code = in(reg) code, in("a0") process.root(), in("a1") hart, options(noreturn)
        );
    }
}

/// Handles a trap from user mode, under the kernel's root and with interrupts off. `call` is the program's a7.
extern "C" fn trap(_: u64, _: u64, _: u64, _: u64, _: u64, _: u64, _: u64, call: u64) -> ! {
    const SOFTWARE_INTERRUPT: u64 = 1 << 63 | 1;
    const SYSTEM_CALL: u64 = 8;
    const LOAD_PAGE_FAULT: u64 = 13;
    let (hart, cause) = (hart() as usize, scause());
    if cause == SOFTWARE_INTERRUPT {
        // Before handling: an IPI that is sent meanwhile interrupts again.
        // SAFETY: supervisor mode.
        unsafe { asm!("csrc sip, 2") };
        // SAFETY: 1. interrupts are off; 2. nothing of the engine is interrupted, which has them off.
        unsafe { ENGINE.handle_ipi() };
        return_to_user(hart)
    }
    // A flush of leaf entries need not interrupt this hart until it enters the space again.
    ENGINE.enter_lazy();
    match (cause, call) {
        (SYSTEM_CALL, 0) => match REPLACED.fetch_add(1, Ordering::Relaxed) {
            REPLACEMENTS => exit_process(),
            count => replace(count % PAGES),
        },
        (SYSTEM_CALL, _) => _ = STALE_READS.fetch_add(1, Ordering::Relaxed),
        (LOAD_PAGE_FAULT, _) if REPLACED.load(Ordering::Relaxed) > REPLACEMENTS => exit_thread(),
        (LOAD_PAGE_FAULT, _) => {} // the page is being replaced: try again
        (cause, _) => panic!("trap {cause:#x}"),
    }
    return_to_user(hart)
}

/// Unmaps a data page, gives its frame to another owner, and maps another frame. Only one hart changes entries, so no
/// lock is needed.
fn replace(number: usize) {
    let Mapping { entry, page, frames } = paging::mapping(number);
    let [old, new] = if paging::maps(entry, frames[0]) { frames } else { [frames[1], frames[0]] };
    if cfg!(feature = "forget-the-flush") {
        entry.store(0, Ordering::Release);
        somebody_else_writes(old);
    } else {
        let mut gather = ENGINE.gather::<u64, 1>(PROCESS.get());
        entry.store(0, Ordering::Release);
        assert!(gather.unmapped(page, old).is_ok(), "there is room for one");
        gather.send().finish_with(somebody_else_writes);
    }
    write(new, GOOD);
    paging::map(entry, new);
}

fn somebody_else_writes(frame: u64) {
    write(frame, BAD);
    (0..50_000).for_each(|_| core::hint::spin_loop()); // long enough for others to read it
}

fn write(frame: u64, what: u64) {
    // SAFETY: frames are memory that no Rust object has.
    unsafe { ptr::with_exposed_provenance_mut::<u64>(frame as usize).write_volatile(what) };
}

/// Ends the process: unmaps everything, so that the other threads come into the kernel and end, retires the space, and
/// tells.
fn exit_process() -> ! {
    let mut gather = ENGINE.gather::<(), 0>(PROCESS.get());
    (0..PAGES).for_each(|number| paging::mapping(number).entry.store(0, Ordering::Release));
    gather.changed_all();
    gather.finish();
    while ENDED.load(Ordering::Acquire) < HARTS - 1 {
        core::hint::spin_loop();
    }
    ENGINE.leave();
    ENGINE.retire(PROCESS.get());
    let stale = STALE_READS.load(Ordering::Relaxed);
    console(format_args!(
        "{HARTS} harts, {REPLACEMENTS} pages unmapped and reused, {} IPIs, {stale} stale reads\n",
        ipis_sent()
    ));
    end(stale == 0)
}

/// Ends the thread of this hart.
fn exit_thread() -> ! {
    ENGINE.leave();
    ENDED.fetch_add(1, Ordering::Release);
    loop {
        // SAFETY: it waits for an interrupt; none is handled any more, since nothing is asked of this hart.
        unsafe { asm!("wfi") };
    }
}

fn ipis_sent() -> u64 {
    use shootdown::{CpuId, Platform};
    (0..HARTS as u32).map(|hart| ENGINE.platform().local(CpuId::new(hart)).counters().ipis_sent()).sum()
}

/// The number of this hart, which tp holds in the kernel.
fn hart() -> u32 {
    let hart;
    // SAFETY: it copies a register that nothing changes.
    unsafe { asm!("mv {}, tp", out(reg) hart, options(nomem, nostack, preserves_flags)) };
    hart
}

fn scause() -> u64 {
    let cause;
    // SAFETY: supervisor mode.
    unsafe { asm!("csrr {}, scause", out(reg) cause, options(nomem, nostack)) };
    cause
}

/// A value that the first hart sets before others start.
struct Once<T>(UnsafeCell<Option<T>>);
// SAFETY: it is written once, before other harts run.
unsafe impl<T: Sync> Sync for Once<T> {}

impl<T> Once<T> {
    const fn new() -> Self {
        Self(UnsafeCell::new(None))
    }
    fn set(&self, value: T) {
        // SAFETY: `start` calls it before other harts run.
        unsafe { *self.0.get() = Some(value) };
    }
    fn get(&self) -> &T {
        // SAFETY: nobody writes any more.
        unsafe { &*self.0.get() }.as_ref().expect("set at the start")
    }
}

struct Serial;

impl core::fmt::Write for Serial {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for byte in text.bytes() {
            // SAFETY: QEMU's `virt` machine has its serial port there, which takes a byte at any time.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(0x1000_0000).write_volatile(byte) };
        }
        Ok(())
    }
}

fn console(text: core::fmt::Arguments<'_>) {
    _ = core::fmt::Write::write_fmt(&mut Serial, text);
}

/// Ends the machine; QEMU exits with 0 or 1.
fn end(clean: bool) -> ! {
    let code = if clean { 0x5555 } else { 1 << 16 | 0x3333 };
    // SAFETY: QEMU's `virt` machine has its test device there, which ends it.
    unsafe { ptr::with_exposed_provenance_mut::<u32>(0x10_0000).write_volatile(code) };
    loop {
        core::hint::spin_loop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    console(format_args!("{info}\n"));
    end(false)
}
