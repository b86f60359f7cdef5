//! What architectures ask of a platform under weak memory: page walks that lag behind accesses, interrupts that
//! overtake stores, and the barriers against both, each of which a switch removes (`--drop-site publish-tables` and so
//! on).

use super::list::{List, THREE_WEAK};
use super::machines::machines;
use crate::engine::Start::{Kernel, Lazy, User};
use crate::engine::{Code, History, TestMachine, Transport};
use shootdown::flush::FlushRequest;
use shootdown::mask::OnLeave;
use shootdown::tags::{PerCpuSlots, Untagged};
use shootdown_explore::Interrupts;
use shootdown_machine::HardwareOrder;

machines! {
    /// aarch64 without FEAT_ETS2, SGIs of a GICv3.
    Aarch64: PerCpuSlots<2> {
        const TAGS: usize = 2;
        const ORDER: HardwareOrder = HardwareOrder::Barriers;
        const INTERRUPTS: Interrupts = Interrupts::Overtake;
    }

    /// The same, where flushes are broadcasts or not.
    Aarch64Broadcast: Untagged {
        const TRANSPORT: Transport = Transport::Broadcast;
        const ORDER: HardwareOrder = HardwareOrder::Barriers;
        const INTERRUPTS: Interrupts = Interrupts::Overtake;
    }

    /// In program order, where CPUs keep their bits and the second space is some flushes ahead of the first.
    Ahead: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;

        fn before(history: &History<'_, Self>) {
            (0..4).for_each(|_| history.on(0).flush(history.space(1), FlushRequest::all()));
        }
    }

    /// riscv64, IPIs by a store to a device.
    Riscv64: PerCpuSlots<2> {
        const TAGS: usize = 2;
        const ORDER: HardwareOrder = HardwareOrder::Flushes;
        const INTERRUPTS: Interrupts = Interrupts::Overtake;
    }

    /// x86-64 with an x2APIC, without PCIDs.
    X2apic: Untagged {
        const INTERRUPTS: Interrupts = Interrupts::Overtake;
    }
}

pub(super) fn add(list: &mut List) {
    on::<Aarch64>(list, "aarch64");
    list.scenario::<Aarch64Broadcast>("aarch64-broadcast", &["weak"])
        .about("a page is unmapped by a broadcast under a thread of another CPU")
        .cpu(Kernel, |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |_| {})
        .only_weak()
        .add();
    list.scenario::<Ahead>("kept-bit-switch-away", &["weak"])
        .about("a CPU keeps its bit and goes over to a space whose generation passes for an acknowledgement")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .only_weak()
        .add();
    on::<Riscv64>(list, "riscv64");
    on::<X2apic>(list, "x2apic");
}

/// Scenarios of each machine: of two CPUs, and of three, which are few enough under weak memory.
fn on<S: TestMachine>(list: &mut List, machine: &str) {
    let unmap: Code<S> = |cpu| cpu.unmap(0, 0);
    list.scenario::<S>(&format!("{machine}-unmap"), &["weak"])
        .about("a page is unmapped under a thread of another CPU")
        .cpu(User(0), unmap)
        .cpu(User(0), |_| {})
        .only_weak()
        .add();
    list.scenario::<S>(&format!("{machine}-unmap-for-another"), &["weak"])
        .about("a CPU that does not run the space unmaps from it, so that it flushes nothing itself")
        .cpu(Kernel, unmap)
        .cpu(User(0), |_| {})
        .only_weak()
        .add();
    list.scenario::<S>(&format!("{machine}-switch-in"), &["weak"])
        .about("a CPU switches into a space while another unmaps from it")
        .cpu(Kernel, unmap)
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .only_weak()
        .add();
    list.scenario::<S>(&format!("{machine}-three-unmap"), THREE_WEAK)
        .about("a page is unmapped under threads of two other CPUs")
        .cpu(Kernel, unmap)
        .cpu(User(0), |_| {})
        .cpu(User(0), |_| {})
        .only_weak()
        .add();
    list.scenario::<S>(&format!("{machine}-three-table"), THREE_WEAK)
        .about("a table is freed under a thread of one CPU and a lazy one")
        .cpu(Kernel, |cpu| cpu.unmap_table(0))
        .cpu(User(0), |_| {})
        .cpu(Lazy(0), |_| {})
        .only_weak()
        .add();
    list.scenario::<S>(&format!("{machine}-three-exit"), THREE_WEAK)
        .about("a space dies under two lazy CPUs, of which one leaves")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |_| {})
        .cpu(Lazy(0), |cpu| cpu.engine().leave())
        .dies(true)
        .only_weak()
        .add();
}
