//! KVM: a virtual CPU that is preempted is asked to flush when it runs again, instead of being interrupted.
//!
//! Sources: KVM's paravirtual interface (`Documentation/virt/kvm/x86/{cpuid,msr}.rst`, `kvm_para.h`); the flush itself
//! since Linux commits 858a43aae236 (guest) and f38a7b75267f (host).

use core::fmt;
use core::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};

/// CPUID leaf whose EAX lists features and whose EDX lists hints, where leaf 4000_0000 answers `KVMKVMKVM`.
pub const FEATURES_LEAF: u32 = 0x4000_0001;
/// The MSR that tells KVM where a CPU's [`StealTime`] is.
pub const MSR_STEAL_TIME: u32 = 0x4b56_4d03;

const STEAL_TIME: u32 = 1 << 5;
const TLB_FLUSH: u32 = 1 << 9;
const HINT_REALTIME: u32 = 1;

const PREEMPTED: u8 = 1;
const FLUSH: u8 = 2;

/// Whether the features (EAX) and hints (EDX) of [`FEATURES_LEAF`] make it worth while: virtual CPUs that are pinned to
/// CPUs of their own are never preempted.
pub const fn is_offered(features: u32, hints: u32) -> bool {
    let needed = STEAL_TIME | TLB_FLUSH;
    features & needed == needed && hints & HINT_REALTIME == 0
}

/// What a virtual CPU and KVM share, registered by writing [`enable`] of its physical address to [`MSR_STEAL_TIME`].
#[derive(Debug)]
#[repr(C, align(64))]
pub struct StealTime {
    steal: AtomicU64,
    version: AtomicU32,
    flags: AtomicU32,
    preempted: AtomicU8,
    reserved: [u8; 47],
}

const _: () = assert!(size_of::<StealTime>() == 64);

/// Why an address was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced(pub u64);

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} is no place for a steal-time area: it must be a multiple of 64", self.0)
    }
}

impl core::error::Error for Misplaced {}

/// Computes what to write to [`MSR_STEAL_TIME`].
///
/// # Errors
/// The physical address is not a multiple of 64.
pub const fn enable(physical: u64) -> Result<u64, Misplaced> {
    if physical & 63 != 0 { Err(Misplaced(physical)) } else { Ok(physical | 1) }
}

impl StealTime {
    /// Makes the area of a CPU that runs.
    pub const fn new() -> Self {
        Self {
            steal: AtomicU64::new(0),
            version: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            preempted: AtomicU8::new(0),
            reserved: [0; 47],
        }
    }

    /// Has KVM flush this CPU's TLB when it runs again, if it does not run: the body of
    /// [`Platform::flush_on_entry`](shootdown::Platform::flush_on_entry). KVM drops everything that the guest has
    /// cached, global translations too, so it serves kernel memory as well. That a CPU which enters its guest runs
    /// nothing that it fetched before it left, neither KVM nor the manuals promise in so many words.
    pub fn flush_on_entry(&self) -> bool {
        // ORDER(SD-4): the page tables and the generation come before the request, by the engine's fence;
        // KVM's exchange comes after it, and so do the walks of the CPU.
        match self.preempted.load(Ordering::Acquire) {
            PREEMPTED => self
                .preempted
                .compare_exchange(PREEMPTED, PREEMPTED | FLUSH, Ordering::AcqRel, Ordering::Acquire)
                .is_ok(),
            state => state == PREEMPTED | FLUSH,
        }
    }

    /// Whether this CPU may run without having flushed: the body of
    /// [`Platform::needs_ack`](shootdown::Platform::needs_ack).
    pub fn needs_ack(&self) -> bool {
        self.preempted.load(Ordering::Acquire) != PREEMPTED | FLUSH
    }
}

impl Default for StealTime {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_laid_out_as_kvm_has_it() {
        assert_eq!(core::mem::offset_of!(StealTime, preempted), 16);
        assert_eq!(align_of::<StealTime>(), 64);
        assert_eq!(enable(0x1234_5640), Ok(0x1234_5641));
        assert_eq!(enable(0x1234_5620), Err(Misplaced(0x1234_5620)));
    }

    #[test]
    fn it_takes_both_features_and_no_dedicated_cpus() {
        assert!(is_offered(0b10_0010_0000, 0));
        assert!(!is_offered(0b10_0000_0000, 0));
        assert!(!is_offered(0b00_0010_0000, 0));
        assert!(!is_offered(0b10_0010_0000, 1));
    }

    #[test]
    fn only_a_cpu_that_does_not_run_is_asked_to_flush() {
        let area = StealTime::new();
        assert!(!area.flush_on_entry() && area.needs_ack());
        area.preempted.store(PREEMPTED, Ordering::Relaxed);
        assert!(area.needs_ack(), "nobody has asked yet");
        assert!(area.flush_on_entry() && area.flush_on_entry() && !area.needs_ack());
        // As KVM does when the CPU runs again.
        assert_eq!(area.preempted.swap(0, Ordering::AcqRel), PREEMPTED | FLUSH);
        assert!(area.needs_ack() && !area.flush_on_entry());
    }
}
