//! Verbs of kernels that load roots themselves, and of owners of spaces who count their own references.

use super::cpu::Cpu;
use super::sim::{Handle, Sim, TestMachine};
use super::world::Page;
use shootdown::tags::{OnInstall, Tag};
use shootdown::{AddressSpace, Platform, Shootdown};
use shootdown_explore::sync;
use shootdown_machine::hw;

/// Runs the calling CPU in a space, whose root is loaded as an embedder does it.
pub(super) fn enter<S: TestMachine>(engine: &Shootdown<Sim<S>>, space: &'static AddressSpace<Sim<S>>) {
    let entry = engine.enter(space);
    load(engine, Some(space.root()), entry.tag(), entry.how());
    // SAFETY: 1. and 2. the machine has this root; 3. spaces are leaked; 4. nothing else is called.
    unsafe { entry.loaded() }
}

fn load<S: TestMachine>(engine: &Shootdown<Sim<S>>, root: Option<usize>, tag: Tag, how: OnInstall) {
    // SAFETY: 1. callers have interrupts off; 2. spaces are given back when they are retired; 3. as the engine said.
    unsafe { engine.platform().install(root, tag, how) }
}

impl<S: TestMachine> Cpu<'_, S> {
    /// Schedules a thread of the space.
    pub fn enter(&self, space: usize) {
        sync::note("enter");
        self.uses_memory(false);
        enter(self.engine(), self.space(space));
        self.uses_memory(true);
    }

    /// Comes into the kernel by a trampoline, which loads the kernel's root.
    pub fn trap(&self) {
        sync::note("trap");
        let were_on = sync::irq_save();
        self.uses_memory(false);
        load(self.engine(), None, Tag::NONE, OnInstall::Keep);
        sync::irq_restore(were_on);
    }

    /// Returns to user code in the space by a trampoline, which loads the root with interrupts off.
    pub fn return_to_user(&self, space: usize) {
        sync::note("return to user mode");
        let were_on = sync::irq_save();
        let entry = self.engine().enter(self.space(space));
        let (tag, how) = (entry.tag(), entry.how());
        // SAFETY: 1. `trap` loaded the kernel's root; 2. interrupts are off until the load below; 3. spaces are leaked; 4. nothing else is called.
        unsafe { entry.will_load() };
        load(self.engine(), Some(space), tag, how);
        self.uses_memory(true);
        sync::irq_restore(were_on);
    }

    /// Begins to enter the space, and thinks better of it.
    pub fn enter_and_drop(&self, space: usize) {
        sync::note("enter, and drop the entry");
        self.uses_memory(false);
        drop(self.engine().enter(self.space(space)));
    }

    /// Returns to the space on which this CPU is lazy; enters it where this CPU was evicted.
    pub fn exit_lazy(&self, space: usize) {
        sync::note("exit lazy");
        let back = self.engine().exit_lazy();
        match back {
            Ok(()) => self.uses_memory(true),
            Err(_) => self.enter(space),
        }
    }

    /// Ends a space that nobody runs in: unmaps everything, retires it, and gives it back.
    pub fn retire(&self, space: usize) {
        self.unmap_all(space);
        sync::note("retire the space");
        self.engine().retire(self.space(space));
        self.give_back(space);
    }

    /// The same with the pages and tables left as they are.
    pub fn retire_as_it_is(&self, space: usize) {
        self.run_kernel_thread();
        hw::teardown(space);
        sync::note("retire the space");
        self.engine().retire(self.space(space));
        self.give_back(space);
    }

    /// The same, where the retirement is asked for twice before it is waited for.
    pub fn retire_and_ask(&self, space: usize) {
        self.unmap_all(space);
        sync::note("retire the space, and ask");
        let mut ticket = self.engine().begin_retire(self.space(space));
        let mut ask = || self.engine().is_retired(self.space(space), &mut ticket) == Ok(true);
        let (first, second) = (ask(), ask());
        assert!(second || !first, "a space that was retired is so no more");
        if !second {
            self.engine().wait(ticket).expect("this engine's");
        }
        self.give_back(space);
    }

    fn unmap_all(&self, space: usize) {
        self.run_kernel_thread();
        hw::teardown(space);
        let mut gather = self.engine().gather::<Page, 3>(self.space(space));
        self.gather_all(&mut gather, space);
        gather.finish();
    }

    fn give_back(&self, space: usize) {
        // SAFETY: 1. the space is retired.
        unsafe { self.engine().platform().free_root(Handle(self.space(space))) };
    }
}
