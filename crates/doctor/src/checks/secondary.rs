//! Secondary TLBs: an IOMMU that shares page tables, beside CPUs.

use super::check::{Check, NO_ANSWER};
use crate::cpu::Cpu;
use crate::plan::{Code, Plan, Start};
use crate::world::{PlatformUnderTest, note};
use shootdown::flush::FlushRequest;
use shootdown_explore::{Memory, sync};
use std::sync::atomic::Ordering::Release;

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
        hang: Some([
            "invalidate_secondary",
            "posts to a queue, and does not wait",
            "return the position and do not wait for it: locks are held, and the engine waits once CPUs have been told",
        ]),
        needs: &["cpu", "irq-save", "irq-restore", "stalled"],
        memories: ONE,
        unneeded: no_secondary::<P>(),
        plan: || {
            let cpus = vec![
                (Start::User(0), asks::<P> as Code<P>),
                (Start::User(0), asks::<P>),
                (Start::Iommu(0), works_late),
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
        hang: NO_ANSWER,
        needs,
        memories: ONE,
        unneeded: no_secondary::<P>(),
        plan,
    };
    vec![
        check(
            "secondary",
            "the only CPU in a space unmaps pages in each way, frees a table, or flushes all, and an IOMMU walks both",
            "post each page of the range, or all of the space; where the request frees tables use the form for all levels, or \
             post all",
            &["remote", "secondary-done"],
            (|| {
                // The second space, whose root is not the first that there is.
                let unmaps: Code<P> = |cpu| cpu.unmap_in_each_way(1);
                let cpus = vec![(Start::User(1), unmaps), (Start::Iommu(1), |_| {})];
                Plan { spaces: 2, sleepers: [1, 0], ..Plan::new(cpus) }
            }) as fn() -> Plan<P>,
        ),
        check(
            "secondary-kernel",
            "a CPU unmaps kernel memory in each way, frees a table of it, or flushes all of it, and an IOMMU walks it too",
            "a request without a space is kernel memory: post what drops it, under all spaces that are shared",
            &["remote-kernel", "secondary"],
            || {
                let unmaps: Code<P> = |cpu| cpu.unmap_kernel_in_each_way();
                Plan {
                    kernel_pages: 2,
                    kernel_table: true,
                    ..Plan::new(vec![(Start::User(0), unmaps), (Start::Iommu(0), |_| {})])
                }
            },
        ),
    ]
}

/// The IOMMU works nothing off until CPU 0 has its answer, or does at any moment.
fn works_late<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    if sync::choose(2) == 1 {
        let were_on = sync::irq_save();
        cpu.wires().await_handled(0);
        sync::irq_restore(were_on);
    }
}

fn asks<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let (platform, queue) = (cpu.platform(), &cpu.wires().queue);
    note("post");
    let position = platform.invalidate_secondary(Some(cpu.space(0)), FlushRequest::all());
    cpu.wires().handled[cpu.id].store(1, Release);
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
