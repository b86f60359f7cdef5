//! Secondary TLBs: an IOMMU that shares page tables, beside CPUs.

use super::check::Check;
use crate::cpu::Cpu;
use crate::plan::{Code, Plan, Start};
use crate::world::{PlatformUnderTest, note};
use shootdown::flush::FlushRequest;
use shootdown_explore::Memory;

const ONE: &[Memory] = &[Memory::Tso];

/// Why nothing but CPUs is looked at, where nothing else keeps translations.
fn no_secondary<P: PlatformUnderTest>() -> Option<&'static str> {
    (!P::SECONDARY_TLBS)
        .then_some("the platform says that nothing but CPUs keeps translations (SECONDARY_TLBS)")
}

/// What a wait for secondary TLBs rests on, by itself.
pub(super) fn answers<P: PlatformUnderTest>() -> Check<P> {
    Check {
        name: "secondary-done",
        about: "two CPUs post to the IOMMU's queue, and ask whether it has worked that off",
        method: "secondary_is_done",
        clause: "Whether secondary TLBs have worked off their queue up to `position`: they no longer use what they had to drop",
        remedy: "compare the position with what the device wrote last, after everything before it: frames are reused as soon \
                 as the answer is true, and a flush waits for ever where it stays false",
        needs: &["cpu", "context"],
        memories: ONE,
        unneeded: no_secondary::<P>(),
        plan: || {
            let cpus = vec![
                (Start::User(0), asks::<P> as Code<P>),
                (Start::User(0), asks::<P>),
                (Start::Iommu(0), |_| {}),
            ];
            Plan::new(cpus)
        },
    }
}

/// Flushes that an IOMMU must take part in.
pub(super) fn flushes<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let check = |name, about, remedy, needs, plan| Check {
        name,
        about,
        method: "invalidate_secondary",
        clause: "Has secondary TLBs drop what `request` covers of `space`, or of kernel memory if that is `None`",
        remedy,
        needs,
        memories: ONE,
        unneeded: no_secondary::<P>(),
        plan,
    };
    vec![
        check(
            "secondary",
            "the only CPU in a space unmaps a page, then frees a table, or flushes all, and an IOMMU walks both",
            "post each page of the range, or all of the space; where the request frees tables use the form for all levels, or \
             post all",
            &["remote", "secondary-done"],
            (|| {
                let unmaps: Code<P> = |cpu| cpu.unmap_in_each_way();
                Plan::new(vec![(Start::User(0), unmaps), (Start::Iommu(0), |_| {})])
            }) as fn() -> Plan<P>,
        ),
        check(
            "secondary-kernel",
            "a CPU unmaps kernel memory, and flushes all of it, and the tables that an IOMMU walks map it too",
            "a request without a space is kernel memory: post what drops it, under all spaces that are shared",
            &["remote-kernel", "secondary"],
            || {
                let unmaps: Code<P> = |cpu| {
                    cpu.unmap_kernel(0);
                    cpu.unmap_kernel_by_flushing_all(1);
                };
                Plan {
                    kernel_pages: 2,
                    ..Plan::new(vec![(Start::User(0), unmaps), (Start::Iommu(0), |_| {})])
                }
            },
        ),
    ]
}

fn asks<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let (platform, queue) = (cpu.platform(), &cpu.wires().queue);
    note("post");
    let position = platform.invalidate_secondary(Some(cpu.space(0)), FlushRequest::all());
    let is_done = || position == 0 || platform.secondary_is_done(position);
    note("ask");
    if is_done() {
        assert!(
            queue.is_worked_off(),
            "secondary_is_done({position}) is true, and the IOMMU has not carried out what was posted"
        );
    }
    queue.await_worked_off();
    note("ask again");
    assert!(
        is_done(),
        "secondary_is_done({position}) is false, and the IOMMU has carried out what was posted"
    );
    assert!(is_done(), "secondary_is_done({position}) was true, and is false");
}
