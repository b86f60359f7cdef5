//! The right to use the kernel's translations. A CPU that runs user code uses none of them, so a kernel may leave their
//! flush to the next entry ([`crate::hw::privilege`]). Two things bound that: pages that an entry uses before it can
//! flush, and walkers, which read page tables whatever the privilege.
//!
//! A machine without this axis takes every CPU that is on line for one in the kernel.

use crate::config::Builder;
use crate::machine::Machine;
use crate::state::{Local, Privilege};

impl Builder {
    /// Tells user code from the kernel. CPUs start in the kernel; [`user_code`](Self::user_code) says otherwise.
    pub fn privilege(mut self) -> Self {
        self.privilege = true;
        self
    }

    /// Has `cpu` start in user code.
    pub fn user_code(mut self, cpu: usize) -> Self {
        self.locals[cpu].set_privilege(Privilege::User);
        self.privilege()
    }

    /// Says that every entry to the kernel uses kernel page `page` before anything can be flushed: its code, its stack.
    /// A CPU in user code may be there at any moment. All roots map it, also those without the kernel's table.
    pub fn entry_page(mut self, page: usize) -> Self {
        self.entry_pages |= 1 << page;
        self
    }
}

impl Machine {
    /// What `local` may use of kernel page `page`.
    pub(crate) fn usable_by_kernel(&self, local: &Local, page: usize) -> u16 {
        let uses = local.privilege() == Privilege::Kernel || self.config.entry_pages >> page & 1 != 0;
        if uses { local.kernel[page] } else { 0 }
    }
}
