//! Xen's own linear mapping of page tables is cached beyond a guest's change of an upper entry.

use crate::bugs::{Bug, Stage, code};
use crate::protocols::unmap::{Change, Free, Policy, Reach, Unmap};
use shootdown_explore::Memory;
use shootdown_machine::{Model, Variant};

pub(super) const BUG: Bug = Bug {
    name: "xen-xsa286-linear-tables",
    id: "D34",
    source: "16a20963b320, XSA-286 (CVE-2020-27674)",
    year: 2020,
    title: "x86/pv: Flush TLB in response to paging structure changes",
    kernel: "Xen",
    arch: "x86 (PV)",
    rules: &[7],
    about: "A PV guest changes an upper entry and may flush later; Xen itself reaches page tables through \
            the same TLB, and goes on with the old table.",
    ends: "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
    engine: "lazy-vs-table-free",
    code: code!["xen_xsa286.rs", "unmap.rs"],
    chain: &[
        Stage::broken(""),
        Stage::right("flushes", || model(Variant::Fixed))
            .by("16a20963b320, XSA-286 x86/pv: Flush TLB in response to paging structure changes"),
        Stage::wrong(
            "spares-32-bit",
            "CPU 0 is lazy but can still walk table 1 in space A, which was freed (SD-7)",
            || model(Variant::Broken),
        )
        .by("bed7e6cad30e x86/PV32: avoid TLB flushing after mod_l3_entry()"),
        Stage::FIXED.by(
            "cb199cc7de98 Revert \"x86/PV32: avoid TLB flushing after mod_l3_entry()\" and \"x86/PV: restrict TLB flushing after mod_l[234]_entry()\"",
        ),
    ],
    ..Bug::race(Memory::Tso, model)
};

fn model(variant: Variant) -> Model {
    let reach = if variant == Variant::Broken { Reach::Nobody } else { Reach::Members };
    Unmap::model(Policy { cpus: 1, current: 0, change: Change::Table, reach, free: Free::AfterFlush })
}
