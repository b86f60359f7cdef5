use crate::limits::{MAX_CODE, MAX_GUEST_PAGES, MAX_KERNEL, MAX_PAGES, MAX_TAGS};

/// What the machine remembers besides its CPUs: only what was given away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shared {
    /// Translation values that nobody may use: frame freed, or revoked. Bit per value.
    pub(crate) dead_values: u16,
    pub(crate) freed_frames: u16,
    pub(crate) written_frames: u16,
    /// Bit per `space * MAX_PAGES + page`.
    pub(crate) unreachable: u32,
    /// Bit per table, table 1 first.
    pub(crate) freed_tables: u8,
    pub(crate) freed_roots: u8,
    pub(crate) dead_spaces: u8,
    /// Versions of code that nobody may run.
    pub(crate) obsolete: [u8; MAX_CODE],
}

/// Privilege of a CPU: what it may use of the kernel's translations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Kernel code: everything.
    Kernel,
    /// User code, and what runs from a trap until the kernel has caught up: the pages of
    /// [`Builder::entry_page`](crate::Builder::entry_page).
    User,
}

/// What one CPU may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Local {
    /// Translation values that the TLB may hold, bit per value, per tag and page.
    pub(crate) tlb: [[u16; MAX_PAGES]; MAX_TAGS],
    /// Leaf tables that cached root entries may name: bit per table, entry 0 in the low byte, per tag.
    pub(crate) walk: [u16; MAX_TAGS],
    pub(crate) kernel: [u16; MAX_KERNEL],
    /// Whether the link to the kernel's table may be cached, under whichever tag.
    pub(crate) kernel_walk: bool,
    /// Guest pages that the VM's first stage may lead to, a bit each from bit 1, per page.
    pub(crate) first_stage: [u8; MAX_PAGES],
    /// Translation values of guest pages.
    pub(crate) second_stage: [u16; MAX_GUEST_PAGES],
    /// Versions of code that it may run.
    pub(crate) fetched: [u8; MAX_CODE],
    /// Translation values through which accesses may still be on their way though no entry is left.
    pub(crate) in_flight: u16,
    /// Space whose root is loaded, plus one; 0 is none.
    pub(crate) root: u8,
    pub(crate) tag: u8,
    pub(crate) flags: u8,
}

pub(crate) const ONLINE: u8 = 1;
pub(crate) const USER: u8 = 2;
/// Back online, and nothing flushed, loaded or acknowledged yet: kernel entries are not checked.
pub(crate) const ARRIVING: u8 = 4;
/// Taken off by a hypervisor.
pub(crate) const PAUSED: u8 = 8;
/// Runs user code.
const UNPRIVILEGED: u8 = 16;
/// A device whose TLB is switched off.
const ATS_OFF: u8 = 32;

impl Local {
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn set(&mut self, flag: u8, on: bool) {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
    }

    pub(crate) fn privilege(&self) -> Privilege {
        if self.is(UNPRIVILEGED) { Privilege::User } else { Privilege::Kernel }
    }

    pub(crate) fn set_privilege(&mut self, privilege: Privilege) {
        self.set(UNPRIVILEGED, privilege == Privilege::User);
    }

    /// Whether it keeps translations, where it is a device.
    pub(crate) fn ats(&self) -> bool {
        !self.is(ATS_OFF)
    }

    pub(crate) fn set_ats(&mut self, on: bool) {
        self.set(ATS_OFF, !on);
    }

    /// Whether its walker may read page tables: also on a CPU that is off line, which halts on what it has loaded.
    pub(crate) fn walks(&self) -> bool {
        self.flags & PAUSED == 0
    }

    /// Space whose root is loaded.
    pub(crate) fn space(&self) -> Option<usize> {
        usize::from(self.root).checked_sub(1)
    }

    /// Values of all user translations that the TLB may hold.
    pub(crate) fn held(&self) -> u16 {
        self.tlb.iter().flatten().fold(0, |all, set| all | set)
    }

    pub(crate) fn drop_tag(&mut self, tag: usize) {
        self.tlb[tag] = [0; MAX_PAGES];
        self.walk[tag] = 0;
    }

    pub(crate) fn drop_kernel_page(&mut self, page: usize, walk: crate::hw::WalkCache) {
        self.kernel[page] = 0;
        self.kernel_walk &= walk == crate::hw::WalkCache::Keep;
    }

    pub(crate) fn drop_kernel_all(&mut self) {
        (self.kernel, self.kernel_walk) = (Default::default(), false);
    }

    pub(crate) fn drop_user(&mut self) {
        self.tlb = Default::default();
        self.walk = Default::default();
        (self.first_stage, self.second_stage) = Default::default();
    }

    pub(crate) fn drop_kernel(&mut self, which: crate::hw::Which) {
        match which {
            crate::hw::Which::All => self.drop_kernel_all(),
            crate::hw::Which::Page(page, walk) => self.drop_kernel_page(page, walk),
        }
    }
}
