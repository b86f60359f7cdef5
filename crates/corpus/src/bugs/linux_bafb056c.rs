//! The owner of an address space that has one user overwrites the mask; a borrower's bit is lost.

use crate::header::{Class, Header, Needs};
use crate::shapes::single_user::{Policy, Remote, SingleUser, Trim};
use shootdown_explore::Memory;
use shootdown_machine::Variant;

pub(crate) const HEADER: Header = Header {
    name: "linux-bafb056c-sparc64-trim",
    id: "A1",
    source: "bafb056ce279",
    title: "sparc64: remove mm_cpumask clearing to fix kthread_use_mm race",
    arch: "sparc64",
    class: Class::Mask,
    rules: &[3, 9],
    needs: Needs::Interleaving,
    cpus: 2,
    memory: Memory::Tso,
    about: "An owner that sees one user overwrites the CPU mask with itself, and wipes out the bit of a kernel thread \
            that has just borrowed the space.",
    story: include_str!("../stories/linux-bafb056c-sparc64-trim.md"),
};

pub(crate) fn model(variant: Variant) -> SingleUser {
    let trim = if variant == Variant::Broken { Trim::Overwrite } else { Trim::Never };
    SingleUser::new(Policy { trim, remote: Remote::CrossCall, joins_clean: true })
}
