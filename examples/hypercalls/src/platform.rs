//! What this guest writes for the engine: its machine behind ports, and the call that its hypervisor takes.

use shootdown::coherence::{Coherence, FlushRemote, RemoteRequest};
use shootdown::flush::LocalFlush;
use shootdown::ports::FlushCalls;
use shootdown::{CpuId, CpuLocal};
use shootdown_x86_64::encode::Root;
use shootdown_x86_64::paravirt::hyperv::{FlushCall, Processors, Progress};

/// The guest, as the engine sees it.
pub struct Guest<H: FlushCalls> {
    /// Its instructions, and its hypervisor.
    pub ports: H,
    /// Memory for the engine.
    pub cpus: &'static [CpuLocal; 4],
}

// SAFETY: 1. the port's promise; 2. an array, indexed by the number; 3. interrupts go off and come back as they were, and
// nothing preempts; 4. it waits for completion; 5. a space is left for another, or for the kernel's root before `leave`.
unsafe impl<H: FlushCalls> Coherence for Guest<H> {
    fn cpu(&self) -> CpuId {
        CpuId::new(self.ports.this_cpu())
    }
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        &self.cpus[cpu.index()]
    }
    fn irq_save(&self) -> bool {
        self.ports.interrupts_off()
    }
    fn irq_restore(&self, were_on: bool) {
        if were_on {
            self.ports.interrupts_on();
        }
    }
    unsafe fn flush_local(&self, what: LocalFlush) {
        let levels = what.request.levels();
        match (what.tag, what.request.range()) {
            (Some(tag), Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_page(tag.number(), page.0, levels));
            }
            (Some(tag), None) => self.ports.drop_tag(tag.number()),
            (None, Some(range)) => {
                range.pages().for_each(|page| self.ports.drop_kernel_page(page.0, levels));
            }
            (None, None) => self.ports.drop_all(),
        }
        self.ports.complete();
    }
    fn publish_tables(&self) {
        self.ports.publish_tables();
    }
}

// SAFETY: 1. the call is repeated until the hypervisor has flushed on all processors that it names.
unsafe impl<H: FlushCalls> FlushRemote for Guest<H> {
    fn flush_remote(&self, what: &RemoteRequest<'_>) {
        let mut processors = Processors::NONE;
        what.for_each_set(|set| processors.add(set.first(), set.bits()));
        let root = what.root.map(|root| Root::new(root).expect("roots of this guest are pages"));
        // An error names no processor: nobody holds translations.
        let Ok(call) = FlushCall::new(root, what.request, &processors) else { return };
        let mut control = call.control();
        loop {
            match FlushCall::progress(control, self.ports.flush_call(control, call.input())) {
                Progress::Done => return,
                Progress::Again(rest) => control = rest,
                Progress::EncodeError(status) => {
                    panic!("the hypervisor refuses a flush with status {status:#x}")
                }
            }
        }
    }
}
