//! A platform of which every part is an external function, so that what is left is the engine.

use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use shootdown::flush::{FlushRequest, LocalFlush, Remote, RemoteFlush};
use shootdown::mask::{CpuMask, OnLeave};
use shootdown::refs::Teardown;
use shootdown::tags::{OnInstall, Tag, TagPolicy};
use shootdown::trace::{Event, IrqReason};
use shootdown::{AddressSpace, CpuId, CpuLocal, Platform, SpaceId};

/// Tag policy `T`; with `KEEP`, CPUs keep their bits until they are asked to trim, and virtual CPUs may be passed over.
#[derive(Debug)]
pub struct Bare<T, const KEEP: bool>(PhantomData<T>);

/// A space of such a machine.
type Space<T, const KEEP: bool> = AddressSpace<Bare<T, KEEP>>;

#[expect(improper_ctypes, reason = "both ends are Rust, and nothing is linked")]
unsafe extern "C" {
    safe fn embedder_pin();
    safe fn embedder_unpin();
    safe fn embedder_cpu() -> u32;
    safe fn embedder_local(cpu: u32) -> &'static CpuLocal;
    safe fn embedder_irq_save() -> bool;
    safe fn embedder_irq_restore(were_on: bool);
    safe fn embedder_tags() -> *const ();
    safe fn embedder_send_ipi(cpu: u32);
    safe fn embedder_free_root();
    safe fn embedder_defer_teardown(teardown: *const ());
    safe fn embedder_flush_local(what: &LocalFlush);
    safe fn embedder_install(root: u64, tag: u16, flush: bool);
    safe fn embedder_flush_remote() -> bool;
    safe fn embedder_publish_tables();
    safe fn embedder_relax(polls: u64);
    safe fn embedder_stalled(cpu: u32, polls: u64);
    safe fn embedder_must_wait(cpu: u32) -> bool;
    safe fn embedder_defer(cpu: u32) -> bool;
    safe fn embedder_quiesce();
    safe fn embedder_event(event: &Event);
}

/// Keeps the thread on its CPU.
#[derive(Debug)]
pub struct Pinned;

impl Drop for Pinned {
    #[inline]
    fn drop(&mut self) {
        embedder_unpin();
    }
}

// SAFETY: 1. to 6. are the external functions', of which there are none: nothing here ever runs.
unsafe impl<T: TagPolicy + 'static, const KEEP: bool> Platform for Bare<T, KEEP>
where
    T::Space: 'static,
{
    type Root = u64;
    type Mask = CpuMask<4>;
    type Handle = &'static Space<T, KEEP>;
    type Tags = T;
    type Pin = Pinned;

    const ON_LEAVE: OnLeave = if KEEP { OnLeave::KeepBit } else { OnLeave::RemoveBit };
    const FLUSHES_ON_ENTRY: bool = KEEP;

    #[inline]
    fn pin(&self) -> Pinned {
        embedder_pin();
        Pinned
    }
    #[inline]
    fn cpu(&self) -> CpuId {
        CpuId::new(embedder_cpu())
    }
    #[inline]
    fn local(&self, cpu: CpuId) -> &CpuLocal {
        embedder_local(cpu.number())
    }
    #[inline]
    fn irq_save(&self, _: IrqReason) -> bool {
        embedder_irq_save()
    }
    #[inline]
    fn irq_restore(&self, were_on: bool) {
        embedder_irq_restore(were_on);
    }
    #[inline]
    fn tags(&self) -> &T {
        // SAFETY: an external function that would have to return one; nothing here ever runs.
        unsafe { &*embedder_tags().cast() }
    }
    #[inline]
    unsafe fn flush_local(&self, what: LocalFlush) {
        embedder_flush_local(&what);
    }
    #[inline]
    unsafe fn install(&self, root: Option<u64>, tag: Tag, how: OnInstall) {
        embedder_install(root.unwrap_or(0), tag.number(), how == OnInstall::Flush);
    }
    #[inline]
    fn send_ipi(&self, cpu: CpuId) {
        embedder_send_ipi(cpu.number());
    }
    #[inline]
    unsafe fn free_root(&self, _: Self::Handle) {
        embedder_free_root();
    }
    #[inline]
    fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
        let teardown = ManuallyDrop::new(teardown);
        embedder_defer_teardown((&raw const teardown).cast());
    }
    #[inline]
    fn flush_remote(&self, _: RemoteFlush<'_, Self>) -> Remote {
        if embedder_flush_remote() { Remote::Done } else { Remote::NeedsIpi }
    }
    #[inline]
    fn needs_ack(&self, cpu: CpuId) -> bool {
        !KEEP || embedder_must_wait(cpu.number())
    }
    #[inline]
    fn flush_on_entry(&self, cpu: CpuId, _: Option<SpaceId>, _: FlushRequest) -> bool {
        KEEP && embedder_defer(cpu.number())
    }
    #[inline]
    fn publish_tables(&self) {
        embedder_publish_tables();
    }
    #[inline]
    fn relax(&self, polls: u64) {
        embedder_relax(polls);
    }
    #[inline]
    fn stalled(&self, cpu: CpuId, polls: u64) {
        embedder_stalled(cpu.number(), polls);
    }
    #[inline]
    fn before_offline(&self) {
        embedder_quiesce();
    }
    #[inline]
    fn event(&self, event: Event) {
        embedder_event(&event);
    }
}
