//! SD-12: a CPU remembers what 8 tags stand for.

use kernel::*;

//= type Tags = PerCpuSlots<8>;
type Tags = PerCpuSlots<9>; //~ E0080 elsewhere

static MACHINE: Shootdown<Toy<Tags>> = Shootdown::new(Toy::new(PerCpuSlots), CpuMask::new());

fn main() {
    MACHINE.switch_to(&user_of(&MACHINE));
}
