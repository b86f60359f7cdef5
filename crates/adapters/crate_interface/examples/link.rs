//! Two crates in one file: one manages memory and knows no hardware, the other has the hardware and knows no memory
//! management. The linker joins them.
//!
//! Run it with `cargo run -p shootdown-with-crate_interface --example link`.

/// The crate that manages memory.
mod memory {
    use shootdown::Shootdown;
    use shootdown::flush::{PageRange, PageTables, Scope, VirtAddr};
    use shootdown::mask::CpuMask;
    use shootdown::tags::Untagged;
    use shootdown_with_crate_interface::Linked;

    /// Unmaps a page of a new space.
    pub fn unmap_something() -> Result<(), Box<dyn std::error::Error>> {
        // SAFETY: 1. the crate with the hardware says so.
        let platform: Linked<Untagged, 1> = unsafe { Linked::new(Untagged) };
        let engine = Shootdown::new(platform, CpuMask::new());
        engine.online_cpu()?;
        let space = engine.new_space(0x1000, CpuMask::new())?;
        engine.flush(&space, Scope::Pages(PageRange::page(VirtAddr(0x40_0000))), PageTables::Kept);
        Ok(())
    }
}

/// The crate with the hardware.
mod hardware {
    use shootdown::CpuLocal;
    use shootdown::flush::{LocalFlush, PageTables, Remote, Scope};
    use shootdown::tags::{OnInstall, Tag};
    use shootdown::trace::{Event, IrqReason};
    use shootdown_with_crate_interface::PlatformIf;

    static LOCAL: CpuLocal = CpuLocal::new();

    struct Hardware;

    #[crate_interface::impl_interface(namespace = Shootdown)]
    impl PlatformIf for Hardware {
        fn cpu() -> u32 {
            0
        }
        fn local(_cpu: u32) -> &'static CpuLocal {
            &LOCAL
        }
        fn pin() {}
        fn unpin() {}
        fn irq_save(_span: IrqReason) -> bool {
            true
        }
        fn irq_restore(_were_on: bool) {}
        fn flush_local(what: LocalFlush) {
            println!("flush {what:?}");
        }
        fn flush_remote(_tag: Option<Tag>, _scope: Scope, _tables: PageTables) -> Remote {
            Remote::NeedsIpi
        }
        fn install(_root: Option<u64>, _tag: Tag, _how: OnInstall) {}
        fn send_ipi(_cpu: u32) {}
        fn publish_tables() {}
        fn free_root(_root: u64) {}
        fn defer_teardown(_object: usize) {}
        fn retain(_object: usize) {}
        fn release(_object: usize) {}
        fn relax(_polls: u64) {}
        fn stalled(_cpu: u32, _polls: u64) {}
        fn event(event: Event) {
            println!("event {event:?}");
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    memory::unmap_something()
}
