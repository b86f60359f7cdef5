//! SD-12: a CPU that hands out tags has one.

use kernel::*;

//= type Tags = PerCpuSlots<8>;
type Tags = PerCpuSlots<0>; //~ E0080 elsewhere

static MACHINE: Shootdown<Toy<Tags>> = Shootdown::new(Toy::new(PerCpuSlots), CpuMask::new());

fn main() {
    MACHINE.switch_to(&user_of(&MACHINE));
}
