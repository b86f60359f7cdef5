//! A kernel for the cases to be written against; it is compiled, never run.

pub use shootdown::{*, flush::*, mask::*, refs::*, tags::*, trace::*};

/// A machine of two CPUs with a tag policy of the case's choice.
pub struct Toy<T> {
    /// Memory of the CPUs.
    pub cpus: [CpuLocal; 2],
    /// The policy.
    pub tags: T,
}

impl<T> Toy<T> {
    /// Makes the machine.
    pub const fn new(tags: T) -> Self {
        Self { cpus: [const { CpuLocal::new() }; 2], tags }
    }
}

/// Meets every duty of [`Platform`] for a type with the fields of [`Toy`].
#[macro_export]
macro_rules! duties {
    ($tags:ty) => {
        type Root = u64;
        type Mask = CpuMask<1>;
        type Handle = &'static AddressSpace<Self>;
        type Tags = $tags;
        type Pin = ();

        fn pin(&self) {}
        fn cpu(&self) -> CpuId {
            CpuId::new(0)
        }
        fn local(&self, cpu: CpuId) -> &CpuLocal {
            &self.cpus[cpu.index()]
        }
        fn irq_save(&self, _: IrqReason) -> bool {
            true
        }
        fn irq_restore(&self, _: bool) {}
        fn tags(&self) -> &$tags {
            &self.tags
        }
        fn send_ipi(&self, _: CpuId) {}
        unsafe fn flush_local(&self, _: LocalFlush) {}
        unsafe fn install(&self, _: Option<u64>, _: Tag, _: OnInstall) {}
        unsafe fn free_root(&self, _: &'static AddressSpace<Self>) {}
        fn defer_teardown(&self, teardown: Teardown<'_, Self>) {
            let _ = teardown.into_handle();
        }
    };
}

// SAFETY: there is no hardware, and nothing of this runs.
unsafe impl<T: TagPolicy + 'static> Platform for Toy<T> {
    duties!(T);
}

/// Makes `Bare`, a machine of two CPUs that loads no roots and has no way yet to tell them of a flush.
#[macro_export]
macro_rules! bare {
    () => {
        struct Bare([CpuLocal; 2]);

        // SAFETY: there is no hardware, and nothing of this runs.
        unsafe impl Coherence for Bare {
            fn cpu(&self) -> CpuId {
                CpuId::new(0)
            }
            fn local(&self, cpu: CpuId) -> &CpuLocal {
                &self.0[cpu.index()]
            }
            fn irq_save(&self) -> bool {
                true
            }
            fn irq_restore(&self, _: bool) {}
            unsafe fn flush_local(&self, _: LocalFlush) {}
        }
    };
}

/// The kernel's own machine.
pub type Kernel = Toy<Untagged>;

/// A machine of another type: a guest of the kernel's.
pub type Guest = Toy<PerCpuSlots<2>>;

/// The kernel's engine.
pub static ENGINE: Shootdown<Kernel> = Shootdown::new(Toy::new(Untagged), CpuMask::new());

/// The guest's engine.
pub static GUEST: Shootdown<Guest> = Shootdown::new(Toy::new(PerCpuSlots), CpuMask::new());

/// Makes a space and its first user reference on any such machine.
pub fn user_of<T: TagPolicy + 'static>(engine: &'static Shootdown<Toy<T>>) -> UserRef<'static, Toy<T>> {
    let space = engine.new_space(0x1000, CpuMask::new()).expect("the masks are equally large");
    engine.register(Box::leak(Box::new(space))).expect("the space is new")
}

/// Makes a user reference to a space of the kernel's.
pub fn user() -> UserRef<'static, Kernel> {
    user_of(&ENGINE)
}

/// A frame that is given back when it is dropped.
pub struct Frame(pub u64);

impl Drop for Frame {
    fn drop(&mut self) {
        println!("frame {:#x} can be reused", self.0);
    }
}

/// The page that cases unmap.
pub const PAGE: PageRange = PageRange::page(VirtAddr(0x40_0000));
