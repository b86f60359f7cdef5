//! SD-6: the memory of a CPU begins with nothing loaded.

use kernel::*;

fn forge(from: CpuLocal) -> CpuLocal {
    //= { drop(from); CpuLocal::new() }
    CpuLocal { ..from } //~ E0451
}

fn main() {
    forge(CpuLocal::new());
}
