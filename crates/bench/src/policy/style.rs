//! The policies of kernels, as rows of one table. Written from descriptions, and from what these sources do; what each
//! leaves out is in CAVEATS.md.
//!
//! | policy | source | functions |
//! |---|---|---|
//! | `linux-x86`, `linux-x86-6.1` | Linux `arch/x86/mm/tlb.c`, `kernel/smp.c` | `flush_tlb_mm_range`, `should_flush_tlb`, `should_trim_cpumask`, `flush_tlb_func`; `smp_call_function_many_cond` (a queue that is not empty has had its IPI) |
//! | `linux-powerpc` | Linux `arch/powerpc/mm/book3s64/radix_tlb.c` | `flush_type_needed`, `exit_flush_lazy_tlbs`, `exit_lazy_flush_tlb`, `tick_and_test_trim_clock` |
//! | `linux-sparc64` | Linux `arch/sparc/kernel/smp_64.c` | `smp_flush_tlb_mm`, `smp_flush_tlb_page`, `smp_cross_call_masked` (each call is delivered to each CPU by itself) |
//! | `linux-arm64` | Linux `arch/arm64/include/asm/tlbflush.h` | `__flush_tlb_range`, `MAX_DVM_OPS` |
//! | `redox` | `src/percpu.rs`, `src/context/memory.rs` (663e6641, August 2026) | `shootdown_tlb_ipi`, `maybe_handle_tlb_shootdown`, `switch_arch_hook`, `Flusher::flush`: one request a target at a time, all of the TLB, no space while idle |
//! | `asterinas` | `ostd/src/mm/tlb.rs`, `vm_space.rs`, `ostd/src/smp.rs` (60494858, August 2026) | `TlbFlusher::dispatch_tlb_flush`, `OpsStack::push`, `VmSpace::activate`, `IpiSender::inter_processor_call`: an IPI for each request, fewer than 32 pages one by one |

use super::kinds::PolicyKind;

/// Which CPUs a flush turns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mask {
    /// Those that have the space loaded: the bit goes at the switch.
    Loaded,
    /// Those that have had it since a flush last found them elsewhere: then they take their bit away.
    UntilUseless,
    /// Those that have ever had it.
    Grows,
    /// The same, but a flush that counts one user takes all others out, and with them a borrower that has just joined:
    /// a count bounds who may finish, not who may begin (SD-9).
    ResetByOneUser,
    /// All.
    Everyone,
    /// Those that hold what goes, and could use it: an oracle.
    Holders,
    /// None.
    Nobody,
}

/// What a CPU does when it turns to a kernel thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lazy {
    /// It says so, and is skipped unless tables go.
    Skipped,
    /// It keeps the space, and is disturbed like any other.
    Disturbed,
    /// It leaves the space.
    Leaves,
}

/// How translations are tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// Not at all: loading a root flushes.
    None,
    /// With six numbers of each CPU.
    Slots,
    /// With one number for each space.
    Global,
}

/// What carries the request to other CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// IPIs; each pair of CPUs has a line for request and answer.
    PairLines,
    /// IPIs; answers are added up in one word.
    Counter,
    /// The hardware, for all CPUs.
    Hardware,
    /// The hardware, unless this CPU is the only member; IPIs ask members to leave now and then.
    HardwareAndTrim,
}

/// What a request does that finds another one pending at its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Requests {
    /// It joins that one's IPI.
    Merge,
    /// It sends an IPI of its own.
    EachSends,
    /// It waits until that one is taken, then sends an IPI of its own.
    OneAtATime,
}

/// Whose references a space counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counts {
    /// Those of lazy CPUs.
    Lazies,
    /// Those of all CPUs that have it loaded.
    Loaded,
    /// Nobody's.
    Nobody,
}

/// A policy's description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Style {
    pub(super) mask: Mask,
    pub(super) lazy: Lazy,
    pub(super) tags: Tags,
    pub(super) transport: Transport,
    pub(super) counts: Counts,
    /// Whether a space counts its flushes, so that a CPU that comes late knows what it missed.
    pub(super) generations: bool,
    /// Most pages that go one by one; 0: everything goes always.
    pub(super) ceiling: u64,
    /// The same where the hardware reaches other CPUs, and a flush does not leave this one.
    pub(super) local_ceiling: u64,
    pub(super) requests: Requests,
    /// Whether a flush queues its requests first and then interrupts CPUs of a cluster at once
    /// (`arch/x86/kernel/apic/x2apic_cluster.c`).
    pub(super) multicast: bool,
    /// Whether open gathers are counted, and a second one widens the flush.
    pub(super) gathers: bool,
}

const LINUX: Style = Style {
    mask: Mask::UntilUseless,
    lazy: Lazy::Skipped,
    tags: Tags::Slots,
    transport: Transport::PairLines,
    counts: Counts::Lazies,
    generations: true,
    ceiling: 33,
    local_ceiling: 33,
    requests: Requests::Merge,
    multicast: true,
    gathers: true,
};

/// The description of a modelled policy.
pub(super) fn style(kind: PolicyKind, tags: bool) -> Style {
    let described = described(kind);
    // What kernels without tags do is what their descriptions say already.
    match (tags, described.tags) {
        (false, Tags::Slots) => Style { tags: Tags::None, ..described },
        _ => described,
    }
}

fn described(kind: PolicyKind) -> Style {
    let simple = Style {
        mask: Mask::Loaded,
        lazy: Lazy::Disturbed,
        tags: Tags::None,
        transport: Transport::Counter,
        counts: Counts::Nobody,
        generations: false,
        ceiling: 0,
        local_ceiling: 0,
        requests: Requests::Merge,
        multicast: false,
        gathers: false,
    };
    match kind {
        PolicyKind::LinuxX86Exact => Style { mask: Mask::Loaded, ..LINUX },
        PolicyKind::LinuxPowerpc => Style {
            mask: Mask::Grows,
            lazy: Lazy::Disturbed,
            tags: Tags::Global,
            transport: Transport::HardwareAndTrim,
            counts: Counts::Nobody,
            generations: false,
            // `tlb_local_single_page_flush_ceiling`: twice the 128 sets of POWER9's TLB.
            local_ceiling: 256,
            multicast: false,
            ..LINUX
        },
        PolicyKind::LinuxSparc64 => Style {
            mask: Mask::Grows,
            lazy: Lazy::Disturbed,
            tags: Tags::Global,
            generations: false,
            requests: Requests::EachSends,
            multicast: false,
            ..LINUX
        },
        PolicyKind::LinuxSparc64Racy => {
            Style { mask: Mask::ResetByOneUser, ..described(PolicyKind::LinuxSparc64) }
        }
        PolicyKind::LinuxArm64 => Style {
            mask: Mask::Nobody,
            lazy: Lazy::Disturbed,
            tags: Tags::Global,
            transport: Transport::Hardware,
            generations: false,
            ceiling: 512,
            multicast: false,
            ..LINUX
        },
        PolicyKind::BroadcastAll => Style { mask: Mask::Everyone, counts: Counts::Lazies, ..simple },
        PolicyKind::Redox => Style { lazy: Lazy::Leaves, requests: Requests::OneAtATime, ..simple },
        PolicyKind::Asterinas => {
            let requests = Requests::EachSends;
            // `FLUSH_ALL_PAGES_THRESHOLD` pages go at once.
            Style { counts: Counts::Loaded, transport: Transport::PairLines, ceiling: 31, requests, ..simple }
        }
        PolicyKind::ExactSharers => {
            Style { mask: Mask::Holders, tags: Tags::Global, ceiling: u64::MAX, ..simple }
        }
        PolicyKind::None => Style { mask: Mask::Nobody, ..simple },
        PolicyKind::LinuxX86 | PolicyKind::Shootdown | PolicyKind::ShootdownExact => LINUX,
    }
}
