//! Scripts under construction.

use crate::machine::{CpuCount, Op, PageTables, Pages};

/// The most IPIs that a workload may cost under a policy that sends one to every CPU, so that large machines end soon.
const BUDGET: u32 = 300_000;
const MAX_ROUNDS: u32 = 200;

/// Size and seed of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// CPUs.
    pub cpus: CpuCount,
    /// Spaces that programs share out among themselves; at most one for each CPU is used.
    pub spaces: u32,
    /// Seed of what is random.
    pub seed: u64,
}

/// One script for each CPU.
#[derive(Debug)]
pub(super) struct Scripts {
    params: Params,
    random: u64,
    channels: u32,
    scripts: Vec<Vec<Op>>,
}

impl Scripts {
    pub(super) fn new(params: Params) -> Self {
        let cpus = params.cpus.number();
        Self {
            params,
            random: params.seed ^ 0x5bd1_e995_9d1c_a3b5,
            channels: 0,
            scripts: vec![Vec::new(); cpus as usize],
        }
    }

    pub(super) fn cpus(&self) -> u32 {
        self.params.cpus.number()
    }

    pub(super) fn spaces(&self) -> u32 {
        self.params.spaces.clamp(1, self.cpus())
    }

    /// Rounds that each flushing CPU goes through, and how many CPUs flush.
    pub(super) fn rounds(&self) -> (u32, u32) {
        let cpus = self.cpus();
        let flushers = (BUDGET / 2 / cpus).clamp(1, cpus);
        ((BUDGET / (cpus * flushers)).clamp(2, MAX_ROUNDS), flushers)
    }

    pub(super) fn push(&mut self, cpu: u32, op: Op) {
        self.scripts[cpu as usize].push(op);
    }

    pub(super) fn touch(&mut self, cpu: u32, first: u64, count: u64) {
        self.push(cpu, Op::Touch(Pages { first, count }));
    }

    pub(super) fn unmap(&mut self, cpu: u32, first: u64, count: u64) {
        self.push(cpu, Op::Unmap(Pages { first, count }, PageTables::Kept));
    }

    /// A channel that nobody uses yet.
    pub(super) fn channel(&mut self) -> u32 {
        self.channels += 1;
        self.channels
    }

    /// A number below `bound` (splitmix64).
    pub(super) fn random(&mut self, bound: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % bound
    }

    /// No CPU goes on before all have come here.
    pub(super) fn barrier(&mut self) {
        let (come, go) = (self.channel(), self.channel());
        for cpu in 1..self.cpus() {
            self.push(cpu, Op::Post(come));
            self.push(0, Op::Take(come));
        }
        for cpu in 1..self.cpus() {
            self.push(0, Op::Post(go));
            self.push(cpu, Op::Take(go));
        }
    }

    /// CPU 0 makes the spaces; then all go on.
    pub(super) fn create_spaces(&mut self) {
        for space in 0..self.spaces() {
            self.push(0, Op::Create(space));
        }
        self.barrier();
    }

    pub(super) fn finish(self) -> Vec<Vec<Op>> {
        self.scripts
    }
}
