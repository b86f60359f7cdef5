//! Guests made of random words: whatever they do, the host is sound.

use crate::breakable;
use crate::image::Image;
use crate::plan::{Plan, Verdict};
use crate::shipped;
use crate::stage2::RAM;
use proptest::prelude::*;

/// Opcodes that do something, those that reach memory, control registers and the firmware more often.
const OPCODES: [u32; 16] =
    [0x37, 0x17, 0x6f, 0x67, 0x63, 0x03, 0x23, 0x13, 0x1b, 0x33, 0x3b, 0x2f, 0x73, 0x23, 0x03, 0x2f];
/// Control registers of supervisors.
const CSRS: [u32; 9] = [0x100, 0x104, 0x105, 0x140, 0x141, 0x142, 0x143, 0x144, 0x180];
/// What the firmware offers, as far as an `addi` can name it, and registers that name the rest.
const ECALL: u32 = 0x73;

fn word() -> impl Strategy<Value = u32> {
    prop_oneof![
        6 => (any::<u32>(), proptest::sample::select(&OPCODES[..])).prop_map(|(word, opcode)| word & !0x7f | opcode),
        2 => (any::<u32>(), proptest::sample::select(&CSRS[..]))
            .prop_map(|(word, csr)| csr << 20 | word & 0xf_8000 | 1 << 12 | word & 0xf80 | 0x73),
        1 => Just(ECALL),
        1 => any::<u32>(),
    ]
}

/// A call of the firmware with whatever is in the argument registers: `lui a7; addiw a7; li a6; ecall`.
fn call() -> impl Strategy<Value = Vec<u32>> {
    let extensions = [0x73_5049_u32, 0x5246_4e43, 0x48_534d, 0x0900_0000, 0x10, 1];
    (proptest::sample::select(extensions.to_vec()), 0..4_u32).prop_map(|(extension, function)| {
        let (high, low) = (extension.wrapping_add(0x800) & 0xffff_f000, extension & 0xfff);
        vec![
            high | 17 << 7 | 0x37,
            low << 20 | 17 << 15 | 17 << 7 | 0x1b,
            function << 20 | 16 << 7 | 0x13,
            ECALL,
        ]
    })
}

/// Skips whatever traps, and starts another hart before the random part.
const START: [u32; 15] = [
    0x0180_006f, // j 24
    0x1410_2ff3, // handler: csrr t6, sepc
    0x004f_8f93, // addi t6, t6, 4
    0x141f_9073, // csrw sepc, t6
    0x1020_0073, // sret
    0x0000_0013, // nop
    0x0000_0f97, // auipc t6, 0
    0xfecf_8f93, // addi t6, t6, -20
    0x105f_9073, // csrw stvec, t6
    0x0010_0513, // li a0, 1
    0x014f_8593, // addi a1, t6, 20: the second hart begins after the handler
    0x0048_58b7, // lui a7, 0x485
    0x34d8_889b, // addiw a7, a7, 0x34d
    0x0000_0813, // li a6, 0
    ECALL,
];

fn program() -> impl Strategy<Value = Vec<u32>> {
    let part = prop_oneof![3 => word().prop_map(|word| vec![word]), 1 => call()];
    proptest::collection::vec(part, 1..200)
        .prop_map(|parts| START.into_iter().chain(parts.into_iter().flatten()).collect())
}

fn plan(words: &[u32]) -> Plan {
    let memory = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let image = Image { entry: RAM, memory };
    Plan { image, cpus: 3, steps: 30_000, seconds: 20, moves: Some(1), dropped: None, fencing: true }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_guest_harms_the_host(words in program()) {
        let report = shipped::vm::run(&plan(&words));
        prop_assert_ne!(report.verdict(), Verdict::Incoherent, "{}", report.text(&plan(&words)));
        // All rules are in place: the other build of the engine is the same engine.
        let report = breakable::vm::run(&plan(&words));
        prop_assert_ne!(report.verdict(), Verdict::Incoherent, "{}", report.text(&plan(&words)));
    }
}
