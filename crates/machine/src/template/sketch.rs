//! One sentence: a page is unmapped and its frame freed, and nobody tells the other CPU.
use shootdown_model::{Machine, Program, Sketch, Variant, hw, kit::CrossCall, sync};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

pub const SKETCH: Sketch = Sketch::new("@NAME@", &[("@FILE@.rs", include_str!("@FILE@.rs"))], |variant| {
    // Page 0 of space 0 leads to frame 1; both CPUs run the space, under tag 0.
    let machine = Machine::builder(2).own_page(0, 0, 1).start(0, 0, 0, true).start(1, 0, 0, true);
    machine.must_free_frame(1).runs(|machine| Toy { variant, machine, calls: CrossCall::new(2) })
});

#[derive(Debug)]
struct Toy {
    variant: Variant,
    machine: Machine,
    calls: CrossCall,
}

impl Program for Toy {
    fn main(&self, cpu: usize) {
        if cpu == 1 {
            return hw::touch(0);
        }
        self.machine.tables.leaf(0, 0).store(0, Relaxed);
        sync::fence(SeqCst);
        hw::flush_user();
        if self.variant == Variant::Fixed {
            self.calls.call(0, 0b10, 1);
        }
        hw::free_frame(1);
    }
    fn interrupt(&self, cpu: usize, _line: u8) {
        self.calls.serve(cpu, |_| hw::flush_user());
    }
}
