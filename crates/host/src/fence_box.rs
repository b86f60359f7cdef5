//! Fences of the guest that a CPU has not carried out yet.

use crate::fence::Fence;
use crate::sync::{AtomicU64, Ordering};
use crate::this_cpu::ThisCpu;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most fences that a CPU outside guest code collects; beyond that it drops everything.
const MOST: usize = 8;

/// Fences that a CPU has not carried out yet.
///
/// ```text
///   sender                       target
///   posts, asked += 1            in_guest := true
///   full fence                   full fence
///   reads in_guest               reads asked
/// ```
/// So the sender sees the target in guest code and waits for it, or the target sees the fence before it uses a
/// translation, or both.
#[derive(Debug, Default)]
pub(crate) struct FenceBox {
    asked: AtomicU64,
    done: AtomicU64,
    waiting: Mutex<Vec<Fence>>,
}

impl FenceBox {
    /// Posts a fence, and returns its number.
    pub(crate) fn post(&self, fence: Fence) -> u64 {
        let mut waiting = self.lock();
        if waiting.len() == MOST {
            waiting.clear();
            waiting.push(Fence::ALL);
        } else {
            waiting.push(fence);
        }
        // ORDER: relaxed; the lock orders it against `serve`, and the fences of the drawing against `in_guest`.
        let number = self.asked.load(Ordering::Relaxed) + 1;
        self.asked.store(number, Ordering::Relaxed);
        number
    }

    /// Whether there are any. Called on their CPU.
    pub(crate) fn is_waiting(&self) -> bool {
        // ORDER: relaxed; behind the full fence of `Host::enter_guest` where it decides.
        self.asked.load(Ordering::Relaxed) != self.done.load(Ordering::Relaxed)
    }

    /// Carries them out on their CPU. It borrows the TLB before it takes them, so that a panic loses none.
    pub(crate) fn serve(&self, this_cpu: &ThisCpu) {
        this_cpu.with_tlb(|tlb| {
            let mut locked = self.lock();
            if !self.is_waiting() {
                return;
            }
            let asked = self.asked.load(Ordering::Relaxed);
            let waiting = std::mem::take(&mut *locked);
            drop(locked);
            if waiting.is_empty() {
                // The TLB has panicked over them before.
                tlb.fence(Fence::ALL);
            }
            waiting.into_iter().for_each(|fence| tlb.fence(fence));
            // ORDER(SD-6): uses of what was dropped come before the sender goes on; partner: `is_done`.
            self.done.store(asked, Ordering::Release);
        });
    }

    pub(crate) fn is_done(&self, number: u64) -> bool {
        // ORDER(SD-8): what the target did with it is over; partner: `serve`.
        self.done.load(Ordering::Acquire) >= number
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Fence>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
