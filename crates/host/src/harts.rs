//! Fences of a guest, on the harts that it names.

use crate::MAX_CPUS;
use crate::fence::Fence;
use crate::host::Hosted;
use crate::ipi::{Call, Calls};
use crate::machine::Machine;
use crate::sync::{Ordering, fence};
use crate::this_cpu::Here;
use shootdown::CpuId;
use std::fmt;

const WORDS: usize = MAX_CPUS / 64;

/// The guest named a hart that the machine does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSuchHart {
    /// Its number.
    pub hart: u64,
    /// How many the machine has.
    pub harts: u32,
}

impl fmt::Display for NoSuchHart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { hart, harts } = self;
        write!(
            f,
            "hart {hart} is not among the machine's {harts}, which are numbered from 0; answer the guest that its hart mask \
             is invalid"
        )
    }
}

impl std::error::Error for NoSuchHart {}

/// Virtual CPUs of a machine that its guest has named in a hart mask; see [`Machine::harts`].
pub struct Harts<'m, P: Hosted> {
    machine: &'m Machine<P::Root, P>,
    bits: [u64; WORDS],
}

impl<R: Copy + Send + Sync, P: Hosted<Root = R>> Machine<R, P> {
    /// The harts that a guest names by a mask, as SBI does: bit n of `mask` is hart `base + n`, and a base of all ones
    /// means every hart.
    ///
    /// # Errors
    /// [`NoSuchHart`].
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::{Machine, NoSuchHart};
    ///
    /// let machine = Machine::<u64>::new(4)?;
    /// let named: Vec<u32> = machine.harts(0b101, 1).map(|harts| harts.iter().map(|cpu| cpu.number()).collect())?;
    /// assert_eq!(named, [1, 3]);
    /// assert_eq!(machine.harts(0, u64::MAX).map(|harts| harts.iter().count()), Ok(4));
    /// assert_eq!(machine.harts(1, 4).err(), Some(NoSuchHart { hart: 4, harts: 4 }));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn harts(&self, mask: u64, base: u64) -> Result<Harts<'_, P>, NoSuchHart> {
        let harts = self.virtual_cpus();
        let mut bits = [0; WORDS];
        let mut name = |hart: u64| match hart < u64::from(harts) {
            true => {
                bits[hart as usize / 64] |= 1 << (hart % 64);
                Ok(())
            }
            false => Err(NoSuchHart { hart, harts }),
        };
        if base == u64::MAX {
            (0..u64::from(harts)).try_for_each(&mut name)?;
        } else {
            (0..64).filter(|bit| mask >> bit & 1 == 1).try_for_each(|bit| name(base.saturating_add(bit)))?;
        }
        Ok(Harts { machine: self, bits })
    }
}

impl<P: Hosted> Harts<'_, P> {
    /// The harts, as CPUs of the engine.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        (0..self.machine.virtual_cpus()).map(CpuId::new).filter(|&cpu| self.contains(cpu))
    }

    /// Whether `cpu` is one of them.
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.bits.get(cpu.index() / 64).is_some_and(|word| word >> (cpu.index() % 64) & 1 == 1)
    }

    /// Has these harts, and no others, drop translations of the guest's own, and returns when none of them can use one
    /// any more. The calling thread is a CPU of the machine or a helper. It waits for harts in guest code, and serves
    /// others meanwhile; a hart outside guest code drops them before it comes back.
    ///
    /// # When this is sound
    /// The guest decides which harts hold a translation that it has changed. If it is wrong, one of its harts goes on
    /// with a stale translation. That must not harm the host: **a stale translation may reach only memory that the
    /// engine protects, or that belongs to the guest alone.** That holds where a TLB has guest-virtual entries that
    /// lead to guest-physical addresses, which are translated once more by entries that the engine flushes
    /// (`examples/emulator`). It also holds where entries lead from guest-virtual addresses to host memory, as in most
    /// translators, if the TLB drops them at every flush of the space from which they were made
    /// ([`Tlb::flush`](crate::Tlb::flush) promises that of everything derived from a translation).
    ///
    /// The engine takes no part. No generation changes, no CPU acknowledges, and a fence that has returned allows no
    /// frame or table to be reused: unmap the host's memory through a [`Gather`](shootdown::flush::Gather), whatever
    /// the guest fences. A later [`flush_kernel`](shootdown::Shootdown::flush_kernel) still reaches every CPU.
    ///
    /// # Panics
    /// If the calling thread is no CPU of the machine, or has the TLB of its CPU borrowed.
    ///
    /// # Examples
    /// ```
    /// use shootdown_host::shootdown::flush::VirtAddr;
    /// use shootdown_host::{Fence, Leaf, Machine, NoSuchHart, SoftTlb};
    ///
    /// let machine = Machine::new(2)?;
    /// let space = machine.new_space(0);
    /// let mut cpu = machine.virtual_cpu(0, SoftTlb::new(16)).expect("a free CPU");
    /// cpu.run(&space, |guest| {
    ///     guest.tlb().insert(VirtAddr(0x5000), Leaf::page(7));
    ///     machine.harts(0b10, 0)?.fence(Fence::bytes(0x5000, 4096)); // hart 1 alone, which is outside guest code
    ///     assert_eq!(guest.tlb().get(VirtAddr(0x5000)), Some(7));
    ///     machine.harts(0b11, 0)?.fence(Fence::bytes(0x5000, 4096));
    ///     assert_eq!(guest.tlb().get(VirtAddr(0x5000)), None);
    ///     Ok::<(), NoSuchHart>(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn fence(&self, what: Fence) {
        let host = self.machine.host();
        let this_cpu = host.this_cpu();
        let me = this_cpu.cpu;
        if self.contains(me) {
            this_cpu.fence(what);
        }
        let mut posted = [0; MAX_CPUS];
        for cpu in self.iter().filter(|&cpu| cpu != me) {
            posted[cpu.index()] = host.at(cpu).fences.post(what);
        }
        // ORDER(SD-5): see the drawing at `FenceBox`; partner: the fence in `Host::enter_guest`.
        fence(Ordering::SeqCst);
        for cpu in self.iter().filter(|&cpu| cpu != me && host.is_in_guest(cpu)) {
            host.call(cpu, Call::Fence);
        }
        for cpu in self.iter().filter(|&cpu| cpu != me) {
            self.wait_for(&this_cpu, cpu, posted[cpu.index()]);
        }
    }

    /// Waits until `cpu` has carried out fence `number` or is outside guest code.
    fn wait_for(&self, this_cpu: &Here, cpu: CpuId, number: u64) {
        let platform = self.machine.platform();
        let host = self.machine.host();
        let mut polls = 0;
        while !host.at(cpu).fences.is_done(number) && host.is_in_guest(cpu) {
            // Others may wait for this CPU: for its answer to a flush of the engine, or for a fence of theirs (SD-11).
            self.machine.answer(this_cpu, Calls::IN_WAITS);
            polls += 1;
            platform.relax(polls);
            if polls % P::STALL_POLLS == 0 {
                platform.stalled(cpu, polls);
                host.call(cpu, Call::Fence);
            }
        }
    }
}

impl<P: Hosted> fmt::Debug for Harts<'_, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
