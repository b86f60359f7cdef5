//! SD-14: a range that is misaligned, empty or too long is refused before any CPU flushes it.

use kernel::*;

fn range() -> PageRange {
    //= PageRange::new(VirtAddr(0x1000), 1, PageSize::Size4K).expect("an aligned page")
    PageRange { start: 0x1234, count: 0, size: PageSize::Size4K } //~ E0451
}

fn main() {
    range();
}
