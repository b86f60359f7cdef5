//! Loads that the embedder makes itself: a trampoline in assembly, an exit path with two roots, a machine without a
//! root.

use crate::engine::Shootdown;
use crate::fault::{Rule, without};
use crate::hw;
use crate::percpu::{Loaded, Mode};
use crate::platform::{IrqReason, OnInstall, Platform};
use crate::space::{AddressSpace, FRESH, RETIRED, RETIRING};
use crate::tags::TagPolicy;
use crate::this_cpu::{Arrival, Cpu, ThisCpu};
use crate::ticket::{Awaited, ForeignTicket, Ticket};
use crate::types::Tag;
use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::sync::atomic::Ordering;

/// A space that this CPU is about to run in; made by [`Shootdown::enter`]. Interrupts are off as long as it exists.
///
/// Load the root with [`tag`](Self::tag) and [`how`](Self::how), then call [`loaded`](Self::loaded). Code that cannot
/// call anything after the load calls [`will_load`](Self::will_load) before it.
///
/// Dropping it unused takes the mark back: if another space was loaded, the kernel's root is loaded in its place,
/// everything is flushed, and this CPU has nothing loaded. In the mask of the other space it may stay, which costs
/// flushes a look.
///
/// Call nothing else of the engine on this CPU before it is gone. Where panics abort, such a call takes the root that is
/// still loaded for none: `flush` does not flush this CPU, and `offline_cpu` and `trim` leave the root loaded.
#[must_use = "dropped unused, this CPU has nothing loaded"]
pub struct Entry<'a, P: Platform> {
    cpu: Cpu<'a, P>,
    were_on: bool,
    way: Way<'a, P>,
    tag: Tag,
    how: OnInstall,
    /// Not `Send`: another thread runs on another CPU.
    on_this_cpu: PhantomData<*const ()>,
}

impl<P: Platform> Clone for Way<'_, P> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<P: Platform> Copy for Way<'_, P> {}

/// How this CPU comes to run in the space, and what a drop undoes.
enum Way<'a, P: Platform> {
    /// It runs there already.
    Stays,
    /// It was lazy there.
    Returns,
    /// It had another space loaded, or none.
    Arrives(Arrival<'a, P>),
}

/// This CPU was evicted from the space on which it was lazy, or never had one: enter a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted;

impl fmt::Display for Evicted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this CPU has no space loaded any more; enter one")
    }
}

impl core::error::Error for Evicted {}

impl<P: Platform> Shootdown<P> {
    /// Begins to load `space` where the embedder loads roots itself (Linux: `switch_mm` up to the write of CR3). Turns
    /// interrupts off until the returned [`Entry`] is gone; the entry says which tag to load and what to flush with it.
    ///
    /// The owner of the space keeps it in place until it is [retired](Self::retire). Never waits.
    ///
    /// # Panics
    /// If this CPU is not on line, another engine made the space, or it was retired.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::Platform;
    /// let user = boot(0x1000);
    /// map(&user, 0x4000, 7);
    /// let entry = ENGINE.enter(&user);
    /// // What your assembly does:
    /// unsafe { ENGINE.platform().install(Some(user.root()), entry.tag(), entry.how()) };
    /// // SAFETY: 1. and 2. that was just done; 3. the reference outlives the example; 4. nothing else was called.
    /// unsafe { entry.loaded() };
    /// assert_eq!(load(0x4000), Some(7));
    /// ```
    // A call would pass the entry, eight words, through memory; the long part is out of line.
    #[inline(always)]
    pub fn enter<'a>(&'a self, space: &'a AddressSpace<P>) -> Entry<'a, P> {
        let this_cpu = ThisCpu::enter(self, IrqReason::Switch);
        let loaded = this_cpu.loaded();
        self.must_not_be_retired(space);
        let way = match loaded.how(space.address()) {
            Some(Mode::Active) => Way::Stays,
            Some(Mode::Lazy) => {
                this_cpu.leave_lazy(space);
                Way::Returns
            }
            None => {
                self.must_own(space);
                this_cpu.must_be_on_line(loaded);
                let (arrival, how) = this_cpu.approach_root(space, loaded);
                return Entry::new(this_cpu, Way::Arrives(arrival), arrival.tag, how);
            }
        };
        let tag = this_cpu.loaded_tag();
        let how = if tag == Tag::NONE { OnInstall::Flush } else { OnInstall::Keep };
        Entry::new(this_cpu, way, tag, how)
    }

    /// Returns to the space on which this CPU is lazy: user code may run in it, with the root that is loaded. Never
    /// waits.
    ///
    /// # Errors
    /// [`Evicted`].
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::coherence::Evicted;
    /// # use shootdown::flush::FlushRequest;
    /// let user = boot(0x1000);
    /// on(1, || ENGINE.switch_to(&user));
    /// on(1, || ENGINE.enter_lazy()); // a system call
    /// ENGINE.flush(&user, FlushRequest::all()); // interrupts nobody
    /// assert_eq!(on(1, || ENGINE.exit_lazy()), Ok(())); // flushes
    /// on(1, || ENGINE.enter_lazy());
    /// ENGINE.flush(&user, FlushRequest::all().tables_freed()); // evicts CPU 1
    /// assert_eq!(on(1, || ENGINE.exit_lazy()), Err(Evicted));
    /// ```
    pub fn exit_lazy(&self) -> Result<(), Evicted> {
        let this_cpu = ThisCpu::enter(self, IrqReason::Switch);
        let loaded = this_cpu.loaded();
        if loaded.is_active() {
            return Ok(());
        }
        let space = hw::space_of::<P>(loaded).ok_or(Evicted)?;
        this_cpu.leave_lazy(space);
        Ok(())
    }

    /// Waits until no CPU has `space` loaded, lazy or not: its owner may then give up its page tables and its memory.
    /// For owners who count references themselves; a [registered](Self::register) space ends with its references.
    ///
    /// The caller makes sure that no CPU enters it from now on and no thread runs in it. CPUs that are lazy on it are
    /// evicted.
    ///
    /// # Panics
    /// If another engine made the space, it is registered, or user code runs in it on this CPU.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::mask::CpuMask;
    /// # boot(0x1000);
    /// let space = ENGINE.new_space(0x2000, CpuMask::new())?;
    /// // ... CPUs enter it, and go lazy ...
    /// ENGINE.retire(&space);
    /// drop(space);
    /// # Ok::<(), shootdown::EngineError>(())
    /// ```
    pub fn retire(&self, space: &AddressSpace<P>) {
        let mut ticket = self.begin_retire(space);
        self.wait_once_told(&mut ticket);
        self.end_retire(space);
    }

    /// Begins to retire a space, as [`retire`](Self::retire) does, and returns a ticket for its completion. Never
    /// waits; you may call it with interrupts off.
    ///
    /// # Panics
    /// As [`retire`](Self::retire).
    pub fn begin_retire(&self, space: &AddressSpace<P>) -> Ticket<P> {
        self.must_own(space);
        // ORDER: relaxed; the owner has seen to it that nobody enters the space any more; this looks for mistakes alone
        // (`retire-evicts`).
        match space.structs.compare_exchange(FRESH, RETIRING, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) | Err(RETIRING | RETIRED) => {}
            Err(_) => self.refuse_counted(space),
        }
        let this_cpu = ThisCpu::enter(self, IrqReason::Leave);
        this_cpu.must_not_run_user_code_in(space);
        if !without(Rule::TeardownEvicts) {
            this_cpu.ask_to_leave(space);
        }
        Ticket::new(self, Awaited::left(space), None)
    }

    /// Whether no CPU has the space loaded any more. Once the answer is `true`, it stays `true`. Never waits.
    ///
    /// # Errors
    /// [`ForeignTicket`], if the ticket is not the one that [`begin_retire`](Self::begin_retire) returned for this
    /// space.
    pub fn is_retired(&self, space: &AddressSpace<P>, ticket: &mut Ticket<P>) -> Result<bool, ForeignTicket> {
        self.must_own(space);
        if !ticket.retires(space) {
            return Err(ForeignTicket);
        }
        let gone = self.is_complete(ticket)?;
        if gone {
            self.end_retire(space);
        }
        Ok(gone)
    }

    /// Takes back what the engine gave the space, once.
    fn end_retire(&self, space: &AddressSpace<P>) {
        // ORDER: relaxed; it only matters which thread takes the duty (`retire-asked`).
        if P::Tags::FREES_TAGS
            && space.structs.compare_exchange(RETIRING, RETIRED, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            self.forget(space);
        }
    }
}

impl<'a, P: Platform> Entry<'a, P> {
    #[inline]
    fn new(this_cpu: ThisCpu<'a, P>, way: Way<'a, P>, tag: Tag, how: OnInstall) -> Self {
        let (cpu, were_on) = this_cpu.suspend();
        Self { cpu, were_on, way, tag, how, on_this_cpu: PhantomData }
    }

    /// The tag to load the root under.
    #[inline]
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Whether the entries under the tag go with the load.
    #[inline]
    pub fn how(&self) -> OnInstall {
        self.how
    }

    /// Says that the root is loaded.
    ///
    /// # Panics
    /// In debug builds, if obligation 4 is seen to be broken.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the hardware has the space's root loaded under [`tag`](Self::tag), and [`how`](Self::how) was obeyed,
    ///    complete on return as [`Platform::install`] says;
    /// 2. no other space's root is loaded;
    /// 3. the space does not move, and is not dropped before it was [retired](Shootdown::retire);
    /// 4. this CPU has called nothing else of the engine since [`enter`](Shootdown::enter).
    #[inline]
    #[expect(unsafe_code, reason = "what the hardware has loaded cannot be seen in any type")]
    pub unsafe fn loaded(self) {
        self.publish();
    }

    /// Says that the root will be loaded when no Rust code runs any more: by the trampoline that returns to user mode.
    ///
    /// # Panics
    /// In debug builds, if interrupts were on before [`enter`](Shootdown::enter), or obligation 4 is seen to be broken.
    ///
    /// # Safety
    /// The caller must ensure that:
    /// 1. the hardware has no other space's root loaded now, but the kernel's own; nothing uses translations of a space
    ///    before the load;
    /// 2. interrupts are off, and stay off until the hardware has the space's root loaded under [`tag`](Self::tag) and
    ///    [`how`](Self::how) was obeyed;
    /// 3. the space does not move, and is not dropped before it was [retired](Shootdown::retire);
    /// 4. this CPU has called nothing else of the engine since [`enter`](Shootdown::enter), and calls nothing before
    ///    the load but [`enter_user`](Shootdown::enter_user).
    #[inline]
    #[expect(unsafe_code, reason = "what the hardware will load cannot be seen in any type")]
    pub unsafe fn will_load(self) {
        debug_assert!(!self.were_on, "interrupts would be on before the root is loaded");
        self.publish();
    }

    #[inline]
    fn publish(self) {
        let way = self.way;
        let this_cpu = ManuallyDrop::new(self).resume();
        if let Way::Arrives(arrival) = way {
            debug_assert!(this_cpu.loaded() == Loaded::SWITCHING, "this CPU called the engine since `enter`");
            this_cpu.arrive(arrival);
        }
    }

    /// The CPU, which has its interrupts on again where the value is dropped.
    #[inline]
    fn resume(&self) -> ThisCpu<'a, P> {
        ThisCpu::resume(self.cpu, self.were_on)
    }
}

impl<P: Platform> Drop for Entry<'_, P> {
    #[inline]
    fn drop(&mut self) {
        let this_cpu = self.resume();
        match self.way {
            Way::Stays => {}
            Way::Returns => this_cpu.enter_lazy(),
            Way::Arrives(arrival) => this_cpu.retreat(arrival),
        }
    }
}
