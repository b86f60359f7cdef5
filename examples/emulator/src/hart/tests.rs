//! Instructions on a hart whose memory is an array.

use super::*;
use crate::isa::Size;

const BASE: u64 = 0x1000;

/// Memory from `BASE` on, and which fences reached it.
struct Plain {
    bytes: Vec<u8>,
    fences: Vec<(Option<u64>, Option<u16>)>,
}

impl Plain {
    fn new(program: &[u32]) -> Self {
        let mut bytes: Vec<u8> = program.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize(256, 0);
        Self { bytes, fences: Vec::new() }
    }

    fn at(&self, address: u64, size: Size, cause: Cause) -> Result<std::ops::Range<usize>, Stop> {
        let first = address.checked_sub(BASE).filter(|first| first + size.bytes() <= self.bytes.len() as u64);
        let first = first.ok_or(Trap { cause, value: address })? as usize;
        Ok(first..first + size.bytes() as usize)
    }
}

impl Memory for Plain {
    fn fetch(&mut self, view: View, address: u64) -> Result<u32, Stop> {
        Ok(self.load(view, address, Size::Word)? as u32)
    }
    fn load(&mut self, _: View, address: u64, size: Size) -> Result<u64, Stop> {
        let mut double = [0; 8];
        double[..size.bytes() as usize]
            .copy_from_slice(&self.bytes[self.at(address, size, Cause::LoadAccess)?]);
        Ok(u64::from_le_bytes(double))
    }
    fn store(&mut self, _: View, address: u64, size: Size, value: u64) -> Result<(), Stop> {
        let at = self.at(address, size, Cause::StoreAccess)?;
        self.bytes[at].copy_from_slice(&value.to_le_bytes()[..size.bytes() as usize]);
        Ok(())
    }
    fn update(
        &mut self,
        view: View,
        address: u64,
        size: Size,
        change: impl Fn(u64) -> Option<u64>,
    ) -> Result<u64, Stop> {
        let old = self.load(view, address, size)?;
        if let Some(new) = change(old) {
            self.store(view, address, size, new)?;
        }
        Ok(old)
    }
    fn fence(&mut self, address: Option<u64>, asid: Option<u16>) {
        self.fences.push((address, asid));
    }
}

/// Runs `program`, with these registers set, as many steps as it has words.
fn run(program: &[u32], registers: &[(u8, u64)]) -> (Hart, Plain, Result<Next, Stop>) {
    let (mut hart, mut memory) = (Hart::new(0, BASE, 0), Plain::new(program));
    for &(number, value) in registers {
        hart.set_register(number, value);
    }
    let mut last = Ok(Next::Step);
    for _ in program {
        last = step(&mut hart, &mut memory);
        if last.is_err() {
            break;
        }
    }
    (hart, memory, last)
}

#[test]
fn register_0_stays_0_and_loads_extend() {
    // addi x0, x5, 1; sw x6, 128(x5); lw x7, 128(x5); lwu x8, 128(x5)
    let program = [0x0012_8013, 0x0862_a023, 0x0802_a383, 0x0802_e403];
    let (hart, ..) = run(&program, &[(5, BASE), (6, 0x8000_0001)]);
    assert_eq!(hart.register(0), 0);
    assert_eq!((hart.register(7), hart.register(8)), (0xffff_ffff_8000_0001, 0x8000_0001));
    assert_eq!((hart.pc, hart.steps), (BASE + 16, 4));
}

#[test]
fn a_store_conditional_needs_its_reservation_and_the_value_it_saw() {
    // lr.d x7, (x5); sc.d x8, x6, (x5); sc.d x9, x6, (x5)
    let (hart, memory, _) = run(&[0x1002_b3af, 0x1862_b42f, 0x1862_b4af], &[(5, BASE + 128), (6, 77)]);
    assert_eq!((hart.register(7), hart.register(8), hart.register(9)), (0, 0, 1));
    assert_eq!(memory.bytes[128], 77);
    // lr.d x7, (x5); sd x5, 0(x5); sc.d x8, x6, (x5)
    let (hart, ..) = run(&[0x1002_b3af, 0x0052_b023, 0x1862_b42f], &[(5, BASE + 128), (6, 77)]);
    assert_eq!(hart.register(8), 1, "the value has changed");
}

#[test]
fn what_stops_changes_nothing() {
    // ld x7, 0(x5)
    let (hart, _, last) = run(&[0x0002_b383], &[(5, 8), (7, 9)]);
    assert_eq!(last, Err(Stop::Trap(Trap { cause: Cause::LoadAccess, value: 8 })));
    assert_eq!((hart.pc, hart.register(7)), (BASE, 9));
    // jalr x7, 2(x5)
    let (hart, _, last) = run(&[0x0022_83e7], &[(5, BASE), (7, 9)]);
    assert_eq!(last, Err(Stop::Trap(Trap { cause: Cause::FetchMisaligned, value: BASE + 2 })));
    assert_eq!(hart.register(7), 9);
}

#[test]
fn a_trap_goes_to_the_handler_and_back() {
    // csrw stvec, x5; ecall as a user after: sret to user mode at sepc.
    let (mut hart, mut memory, _) =
        run(&[0x1052_9073, 0x1413_1073, 0x1020_0073], &[(5, BASE + 64), (6, BASE + 32)]);
    assert_eq!((hart.mode, hart.pc), (Mode::User, BASE + 32));
    memory.bytes[32..36].copy_from_slice(&0x0000_0073_u32.to_le_bytes());
    let Err(Stop::Trap(trap)) = step(&mut hart, &mut memory) else { panic!("users call their supervisor") };
    assert_eq!(trap.cause, Cause::UserCall);
    hart.trap(trap).expect("there is a handler");
    assert_eq!((hart.mode, hart.pc), (Mode::Supervisor, BASE + 64));
    assert_eq!((hart.csr(0x141), hart.csr(0x142)), (Some(BASE + 32), Some(8)));
    let mut bare = Hart::new(0, BASE, 0);
    assert_eq!(bare.trap(trap), Err(trap), "without a handler it comes back");
}

#[test]
fn users_have_no_supervisor_instructions() {
    for word in [0x1800_5073, 0x1020_0073, 0x1200_0073] {
        let (mut hart, mut memory) = (Hart::new(0, BASE, 0), Plain::new(&[word]));
        hart.mode = Mode::User;
        let illegal = Trap { cause: Cause::IllegalInstruction, value: word.into() };
        assert_eq!(step(&mut hart, &mut memory), Err(illegal.into()), "{word:#x}");
    }
}

#[test]
fn control_registers_keep_what_they_can_hold() {
    let mut hart = Hart::new(0, BASE, 0);
    assert!(hart.set_csr(0x180, 8 << 60 | 5));
    assert!(hart.set_csr(0x180, 9 << 60), "a mode that there is not");
    assert_eq!(hart.csr(0x180), Some(8 << 60 | 5));
    assert!(hart.set_csr(0x100, u64::MAX));
    assert_eq!(hart.csr(0x100), Some(0x4_0122));
    assert!(!hart.set_csr(0xc00, 1), "counters are not written");
    assert_eq!((hart.csr(0x7ff), hart.csr(0xc02)), (None, Some(0)));
}

#[test]
fn an_interrupt_waits_until_it_is_let_in() {
    let mut hart = Hart::new(0, BASE, 0);
    assert!(hart.set_csr(0x105, BASE + 64));
    hart.interrupt();
    assert!(!hart.wakes(), "it is masked");
    assert!(hart.set_csr(0x104, 2));
    hart.take_interrupt();
    assert_eq!((hart.wakes(), hart.pc), (true, BASE), "interrupts are off");
    assert!(hart.set_csr(0x100, 2));
    hart.take_interrupt();
    assert_eq!((hart.pc, hart.csr(0x142)), (BASE + 64, Some(1 << 63 | 1)));
    assert!(hart.set_csr(0x144, 0));
    hart.return_from_trap();
    assert_eq!((hart.pc, hart.wakes()), (BASE, false));
}

#[test]
fn fences_reach_memory_with_what_they_name() {
    // sfence.vma; sfence.vma x5, x6
    let (_, memory, _) = run(&[0x1200_0073, 0x1262_8073], &[(5, 0x4000), (6, 7)]);
    assert_eq!(memory.fences, [(None, None), (Some(0x4000), Some(7))]);
}
