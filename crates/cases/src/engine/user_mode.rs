//! Verbs of CPUs that run user code and leave flushes of kernel memory to their next entry.

use super::cpu::Cpu;
use super::sim::TestMachine;
use super::world::World;
use shootdown_explore::sync;
use shootdown_machine::{Privilege, hw};

impl<S: TestMachine> World<S> {
    /// The way to user mode; interrupts are off.
    fn enter_user(&self, cpu: usize) {
        hw::privilege(Privilege::User);
        self.modes.set(cpu, true);
        // SAFETY: 1. the caller has interrupts off; 2. whatever comes in calls `exit_user` first, or `in_nmi`; 3. only what comes after
        // has the right to use kernel pages.
        unsafe { self.engine.enter_user() };
    }

    /// The way back; interrupts are off.
    fn exit_user(&self, cpu: usize) {
        // SAFETY: 1. the caller has interrupts off; 2. none comes between the engine's steps, which have them off.
        unsafe { self.engine.exit_user() };
        self.modes.set(cpu, false);
        hw::privilege(Privilege::Kernel);
    }

    /// Handles an IPI, which may come in user mode.
    pub(super) fn handle_ipi(&self, cpu: usize) {
        // The machines of other scenarios know no modes.
        let from_user = self.has_modes && self.modes.is_user(cpu);
        if from_user {
            self.exit_user(cpu);
        }
        // SAFETY: 1. a handler runs with interrupts off; 2. none comes between the engine's steps, which have them off.
        unsafe { self.engine.handle_ipi() };
        if from_user {
            self.enter_user(cpu);
        }
    }

    /// What a profiler does in a non-maskable interrupt: uses kernel memory, whatever was interrupted.
    pub(super) fn profile(&self, cpu: usize) {
        let from_user = self.modes.is_user(cpu);
        let use_kernel_memory = || {
            // In the kernel the right is there already, or comes when the flush is made.
            if from_user {
                hw::privilege(Privilege::Kernel);
                hw::privilege(Privilege::User);
            }
        };
        // SAFETY: 1. nothing interrupts an NMI; 2. it uses memory alone; 3. the machine's flushes are single steps.
        unsafe { self.engine.in_nmi(use_kernel_memory) };
    }
}

impl<S: TestMachine> Cpu<'_, S> {
    /// Returns to user code, which needs nothing of the kernel for a while.
    pub fn go_to_user(&self) {
        sync::note("to user mode");
        let were_on = sync::irq_save();
        self.world.enter_user(self.id());
        sync::irq_restore(were_on);
    }

    /// Comes back by a system call.
    pub fn come_from_user(&self) {
        sync::note("into the kernel");
        let were_on = sync::irq_save();
        self.world.exit_user(self.id());
        sync::irq_restore(were_on);
    }
}
