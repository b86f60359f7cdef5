//! TLBs that several CPUs share, as the threads of a core do on some machines.
//!
//! What one of them fills, all may use; what one of them flushes, all have lost. Loaded roots, tags and modes stay each
//! CPU's own. The CPUs of a domain hold equal sets whenever nothing is left to settle.

use crate::config::Builder;
use crate::machine::Machine;
use crate::state::Local;

impl Builder {
    /// Has the CPUs of `cpus`, a bit each, share one TLB. They stay online.
    pub fn share_tlb(mut self, cpus: u8) -> Self {
        let inside = |cpu: &usize| cpus >> cpu & 1 != 0;
        assert!(u32::from(cpus) >> self.cpus == 0, "a TLB is shared by CPUs that there are");
        for cpu in (0..self.cpus).filter(inside) {
            assert_eq!(self.domains[cpu], 1 << cpu, "CPU {cpu} shares a TLB already");
            self.domains[cpu] = cpus;
        }
        self
    }
}

impl Machine {
    /// Whether `cpu` shares its TLB.
    pub(crate) fn shares(&self, cpu: usize) -> bool {
        self.config.domains[cpu].count_ones() > 1
    }

    /// Lets `cpu`'s siblings lose what it has flushed.
    pub(crate) fn spread(&self, locals: &mut [Local], cpu: usize) {
        let source = locals[cpu];
        for other in self.siblings(cpu) {
            let local = &mut locals[other];
            (local.tlb, local.walk) = (source.tlb, source.walk);
            (local.kernel, local.kernel_walk) = (source.kernel, source.kernel_walk);
        }
    }

    /// Lets the CPUs of each domain use what any of them has filled; returns whether that was news to one.
    pub(crate) fn pool(&self, locals: &mut [Local]) -> bool {
        let mut news = false;
        for cpu in (0..locals.len()).filter(|&cpu| self.shares(cpu)) {
            for other in self.siblings(cpu) {
                let before = locals[cpu];
                let from = locals[other];
                locals[cpu].add(&from);
                news |= locals[cpu] != before;
            }
        }
        news
    }

    fn siblings(&self, cpu: usize) -> impl Iterator<Item = usize> + use<> {
        let others = self.config.domains[cpu] & !(1 << cpu);
        (0..u8::BITS as usize).filter(move |other| others >> other & 1 != 0)
    }
}

impl Local {
    /// Adds what another TLB holds.
    fn add(&mut self, other: &Local) {
        for (mine, theirs) in self.tlb.iter_mut().flatten().zip(other.tlb.iter().flatten()) {
            *mine |= theirs;
        }
        for (mine, theirs) in self.walk.iter_mut().zip(other.walk) {
            *mine |= theirs;
        }
        for (mine, theirs) in self.kernel.iter_mut().zip(other.kernel) {
            *mine |= theirs;
        }
        self.kernel_walk |= other.kernel_walk;
    }
}
