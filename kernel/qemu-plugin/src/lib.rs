//! A plugin for QEMU's TCG: counts the instructions that a virtual CPU executes between marks, and from the entry of a
//! trap to the return from it, if a TLB was flushed in between.
//!
//! A mark is an instruction that does nothing: on x86-64 `nopl 0x5a5a00NN(%rax)`, on AArch64 `hint #(0x60 + NN)`, on
//! RISC-V `addi x0, x0, 0x5a0 + NN`. Operation k begins at mark 2k and ends at mark 2k + 1, on the same CPU.
//!
//! Arguments: `trap=ADDRESS` for each entry of traps, `firmware=ADDRESS` below which code is the firmware's,
//! `wait=BEGIN:END` for a function whose instructions do not count, since it waits for other CPUs, `out=FILE` for the
//! report: a line of JSON for each operation, written when QEMU ends.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

#[repr(C)]
struct Block(u8);
#[repr(C)]
struct Instruction(u8);

type Translated = extern "C" fn(u64, *mut Block);
type Executed = extern "C" fn(c_uint, *mut c_void);
type Ended = extern "C" fn(u64, *mut c_void);

// HW: QEMU's include/qemu/qemu-plugin.h, version 1 of the interface (QEMU 4.2 to 8.x).
unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(id: u64, call: Translated);
    fn qemu_plugin_register_vcpu_insn_exec_cb(
        at: *mut Instruction,
        call: Executed,
        flags: c_int,
        data: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(id: u64, call: Ended, data: *mut c_void);
    fn qemu_plugin_tb_n_insns(block: *const Block) -> usize;
    fn qemu_plugin_tb_get_insn(block: *const Block, index: usize) -> *mut Instruction;
    fn qemu_plugin_insn_data(at: *const Instruction) -> *const u8;
    fn qemu_plugin_insn_size(at: *const Instruction) -> usize;
    fn qemu_plugin_insn_vaddr(at: *const Instruction) -> u64;
}

/// Version of the interface.
#[unsafe(no_mangle)]
pub static qemu_plugin_version: c_int = 1;

/// What QEMU says when it loads a plugin; only the first field is used.
#[repr(C)]
#[derive(Debug)]
pub struct Info {
    target: *const c_char,
}

const CPUS: usize = 64;
/// Whether a CPU has flushed since it last entered a trap.
static FLUSHED: [AtomicU64; CPUS] = [const { AtomicU64::new(0) }; CPUS];
/// Operations that marks name; the handler of traps comes after them.
const OPERATIONS: usize = 16;
const HANDLER: usize = OPERATIONS;
const KINDS: usize = OPERATIONS + 1;

/// Instructions of a CPU so far, in the kernel and in the firmware.
static COUNTS: [[AtomicU64; 2]; CPUS] = [const { [const { AtomicU64::new(0) }; 2] }; CPUS];
/// Place of an instruction that does not count: it waits.
const WAITING: usize = 2;
/// The same where an operation began.
static BEGUN: [[[AtomicU64; 2]; KINDS]; CPUS] =
    [const { [const { [const { AtomicU64::new(u64::MAX) }; 2] }; KINDS] }; CPUS];

#[derive(Default)]
struct State {
    target: String,
    traps: Vec<u64>,
    firmware: u64,
    waiting: std::ops::Range<u64>,
    out: String,
    /// For each operation, what each time took.
    samples: BTreeMap<usize, Vec<[u64; 2]>>,
}

static STATE: Mutex<Option<State>> = Mutex::new(None);

fn with_state<R>(work: impl FnOnce(&mut State) -> R) -> R {
    let mut state = STATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    work(state.get_or_insert_default())
}

extern "C" fn count(cpu: c_uint, place: *mut c_void) {
    let Some(counter) = COUNTS[cpu as usize % CPUS].get(place as usize) else { return };
    // Only this CPU writes.
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}

extern "C" fn flushed(cpu: c_uint, _: *mut c_void) {
    FLUSHED[cpu as usize % CPUS].store(1, Relaxed);
}

extern "C" fn begin(cpu: c_uint, kind: *mut c_void) {
    let cpu = cpu as usize % CPUS;
    FLUSHED[cpu].store(0, Relaxed);
    for (begun, count) in BEGUN[cpu][kind as usize].iter().zip(&COUNTS[cpu]) {
        begun.store(count.load(Relaxed), Relaxed);
    }
}

extern "C" fn end(cpu: c_uint, kind: *mut c_void) {
    let (cpu, kind) = (cpu as usize % CPUS, kind as usize);
    let [in_kernel, in_firmware] = &BEGUN[cpu][kind];
    let begun = in_kernel.swap(u64::MAX, Relaxed);
    // A trap in which nothing was flushed handled no IPI.
    if begun == u64::MAX || (kind == HANDLER && FLUSHED[cpu].load(Relaxed) == 0) {
        return;
    }
    let took =
        [COUNTS[cpu][0].load(Relaxed) - begun, COUNTS[cpu][1].load(Relaxed) - in_firmware.load(Relaxed)];
    with_state(|state| state.samples.entry(kind).or_default().push(took));
}

/// Asks to be called at each instruction of a block that was translated.
extern "C" fn translated(_: u64, block: *mut Block) {
    // SAFETY: the block is QEMU's, for as long as this call.
    let length = unsafe { qemu_plugin_tb_n_insns(block) };
    for index in 0..length {
        // SAFETY: the index is below the length.
        let at = unsafe { qemu_plugin_tb_get_insn(block, index) };
        // SAFETY: the instruction is QEMU's, for as long as this call.
        let address = unsafe { qemu_plugin_insn_vaddr(at) };
        // SAFETY: as above.
        let size = unsafe { qemu_plugin_insn_size(at) };
        // SAFETY: as above.
        let data = unsafe { qemu_plugin_insn_data(at) };
        // SAFETY: QEMU says that there are as many bytes.
        let bytes = unsafe { std::slice::from_raw_parts(data, size) };
        let (place, event) = with_state(|state| {
            let place = match state.waiting.contains(&address) {
                true => WAITING,
                false => usize::from(address < state.firmware),
            };
            (place, event(&state.target, &state.traps, address, bytes))
        });
        let call = |call: Executed, data: usize| {
            // SAFETY: the instruction is QEMU's, for as long as this call; no flags; the data is a number.
            unsafe { qemu_plugin_register_vcpu_insn_exec_cb(at, call, 0, data as *mut c_void) };
        };
        // What begins here counts from here on; the other end is counted before it ends.
        match event {
            Some(Event::Entry) => call(begin, HANDLER),
            Some(Event::Flush) => call(flushed, 0),
            Some(Event::Begin(_) | Event::End(_) | Event::Return) | None => {}
        }
        call(count, place);
        match event {
            Some(Event::Begin(operation)) => call(begin, operation),
            Some(Event::End(operation)) => call(end, operation),
            Some(Event::Return) => call(end, HANDLER),
            Some(Event::Entry | Event::Flush) | None => {}
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Event {
    Begin(usize),
    End(usize),
    Entry,
    Return,
    Flush,
}

fn event(target: &str, traps: &[u64], address: u64, bytes: &[u8]) -> Option<Event> {
    if traps.contains(&address) {
        return Some(Event::Entry);
    }
    let word = <[u8; 4]>::try_from(bytes).map(u32::from_le_bytes).ok();
    let returns = match target {
        "x86_64" => bytes == [0x48, 0xcf],
        "aarch64" => word == Some(0xd69f_03e0),
        _ => word == Some(0x1020_0073),
    };
    if returns {
        return Some(Event::Return);
    }
    // INVLPG; TLBI, a SYS of register 8; SFENCE.VMA.
    let flushes = match target {
        "x86_64" => matches!(
            bytes,
            [0x0f, 0x01, operand, ..] | [0x40..=0x4f, 0x0f, 0x01, operand, ..] if operand >> 3 & 7 == 7 && *operand < 0xc0
        ),
        "aarch64" => word.is_some_and(|word| word & 0xfff8_f000 == 0xd508_8000),
        _ => word.is_some_and(|word| word & 0xfe00_7fff == 0x1200_0073),
    };
    if flushes {
        return Some(Event::Flush);
    }
    let mark = match (target, word) {
        ("x86_64", _) => match bytes {
            [0x0f, 0x1f, 0x80, mark, 0x00, 0x5a, 0x5a] => u32::from(*mark),
            _ => return None,
        },
        ("aarch64", Some(word)) if word & 0xffff_f01f == 0xd503_201f => {
            (word >> 5 & 0x7f).checked_sub(0x60)?
        }
        ("riscv64", Some(word)) if word & 0xf_ffff == 0x13 => (word >> 20).checked_sub(0x5a0)?,
        _ => return None,
    };
    let operation = mark as usize / 2;
    let is_begin = mark % 2 == 0;
    (operation < OPERATIONS).then_some(if is_begin { Event::Begin(operation) } else { Event::End(operation) })
}

extern "C" fn ended(_: u64, _: *mut c_void) {
    with_state(|state| {
        let mut report = String::new();
        for (kind, samples) in &mut state.samples {
            // The mark at the end was counted; a trap has none.
            let marks = u64::from(*kind != HANDLER);
            samples.sort_unstable_by_key(|[kernel, firmware]| kernel + firmware);
            let (least, median) = (samples[0], samples[samples.len() / 2]);
            // Writing to a string cannot fail.
            let _ = writeln!(
                report,
                "{{\"operation\":{kind},\"times\":{},\"least\":{},\"median\":{},\"firmware\":{}}}",
                samples.len(),
                least[0] - marks,
                median[0] - marks,
                median[1]
            );
        }
        if let Err(error) = std::fs::write(&state.out, report) {
            eprintln!("{}: {error}", state.out);
        }
    });
}

/// What QEMU calls when it loads the plugin.
///
/// # Safety
/// The caller must ensure that:
/// 1. the pointers are what QEMU's interface says.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn qemu_plugin_install(
    id: u64,
    info: *const Info,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: 1. the caller's.
    let info = unsafe { &*info };
    // SAFETY: 1. the caller's.
    let target = unsafe { CStr::from_ptr(info.target) }.to_string_lossy().into_owned();
    let mut state = State { target, ..State::default() };
    for index in 0..count as usize {
        // SAFETY: 1. the caller's: there are as many.
        let argument = unsafe { arguments.add(index) };
        // SAFETY: 1. as above.
        let argument = unsafe { *argument };
        // SAFETY: 1. as above: each is a string.
        let argument = unsafe { CStr::from_ptr(argument) }.to_string_lossy();
        let number = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap_or(0);
        match argument.split_once('=') {
            Some(("trap", address)) => state.traps.push(number(address)),
            Some(("firmware", address)) => state.firmware = number(address),
            Some(("wait", range)) => {
                let (begin, end) = range.split_once(':').unwrap_or_default();
                state.waiting = number(begin)..number(end);
            }
            Some(("out", file)) => file.clone_into(&mut state.out),
            _ => return -1,
        }
    }
    with_state(|empty| *empty = state);
    // SAFETY: the callback has the type that QEMU asks for.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(id, translated) };
    // SAFETY: as above.
    unsafe { qemu_plugin_register_atexit_cb(id, ended, std::ptr::null_mut()) };
    0
}

#[cfg(test)]
mod tests {
    use super::{Event, event};

    #[test]
    fn instructions_that_matter_are_known_by_their_bytes() {
        let word = |word: u32| word.to_le_bytes().to_vec();
        let table = [
            ("x86_64", vec![0x0f, 0x1f, 0x80, 2, 0, 0x5a, 0x5a], Some(Event::Begin(1))),
            ("x86_64", vec![0x0f, 0x1f, 0x80, 3, 0, 0x5a, 0x5a], Some(Event::End(1))),
            ("x86_64", vec![0x0f, 0x1f, 0x80, 0, 0, 0, 0], None),
            ("x86_64", vec![0x48, 0xcf], Some(Event::Return)),
            ("x86_64", vec![0x0f, 0x01, 0x3f], Some(Event::Flush)),
            // SWAPGS has the operand of a register.
            ("x86_64", vec![0x0f, 0x01, 0xf8], None),
            ("aarch64", word(0xd503_2c1f), Some(Event::Begin(0))),
            ("aarch64", word(0xd503_2c3f), Some(Event::End(0))),
            ("aarch64", word(0xd503_201f), None),
            ("aarch64", word(0xd69f_03e0), Some(Event::Return)),
            ("aarch64", word(0xd508_8620), Some(Event::Flush)),
            ("riscv64", word(0x5a00_0013), Some(Event::Begin(0))),
            ("riscv64", word(0x5a10_0013), Some(Event::End(0))),
            ("riscv64", word(0x0000_0013), None),
            ("riscv64", word(0x1020_0073), Some(Event::Return)),
            ("riscv64", word(0x12b5_0073), Some(Event::Flush)),
        ];
        for (target, bytes, expected) in table {
            assert_eq!(event(target, &[], 0x1000, &bytes), expected, "{target} {bytes:x?}");
        }
        assert_eq!(event("riscv64", &[0x1000], 0x1000, &word(0x13)), Some(Event::Entry));
    }
}
