//! Code that is changed while CPUs may have fetched it.

use super::list::{List, Scenario};
use super::machines::machines;
use crate::engine::Start::User;
use crate::engine::{OnEntry, TestMachine, Transport};
use shootdown::tags::{FlushByBroadcast, FlushByIpi, GlobalAsids, PerCpuSlots, Untagged};

const CODE: &[&str] = &["two", "code"];

machines! {
    /// No tags.
    Code: Untagged {
        const CODE: bool = true;
    }

    /// The same, where CPUs say that they run user code.
    ModesCode: Untagged {
        const USER_MODE: bool = true;
        const CODE: bool = true;
    }

    /// Two tags a CPU.
    TaggedCode: PerCpuSlots<2> {
        const TAGS: usize = 2;
        const CODE: bool = true;
    }

    /// Tags of all CPUs, whose flushes are broadcasts.
    BroadcastCode: GlobalAsids<'static, FlushByBroadcast, 3> {
        const TAGS: usize = 3;
        const TRANSPORT: Transport = Transport::TagBroadcast;
        const CODE: bool = true;
    }

    /// Tags of all CPUs, flushed by IPIs. A load that keeps entries keeps what was fetched of code too, which it must
    /// not.
    GlobalCode: GlobalAsids<'static, FlushByIpi, 3> {
        const TAGS: usize = 3;
        const CODE: bool = true;
    }

    /// Virtual CPUs that do not run synchronise their contexts when they do.
    ParavirtualCode: Untagged {
        const TRANSPORT: Transport = Transport::Paravirtual;
        const CODE: bool = true;
    }

    /// The same, where the hypervisor flushes translations alone.
    ForgetsCode: Untagged {
        const TRANSPORT: Transport = Transport::Paravirtual;
        const ON_ENTRY: OnEntry = OnEntry::TranslationsAlone;
        const CODE: bool = true;
    }

    /// A broadcast for kernel memory too, which may answer "done" or not.
    KernelBroadcastCode: Untagged {
        const TRANSPORT: Transport = Transport::Broadcast;
        const CODE: bool = true;
    }
}

/// One writes code, and the other, which runs it, is taken off at any time.
fn under_a_hypervisor<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario.cpu(User(0), |cpu| cpu.compile(0)).cpu(User(0), |cpu| cpu.run_code()).preempted(&[1])
}

pub(super) fn add(list: &mut List) {
    under_a_hypervisor(list.scenario::<ParavirtualCode>("code-paravirtual", CODE))
        .about("the thread that runs the code is on a virtual CPU that is taken off at any time, and left to its entry")
        .add();
    list.scenario::<Code>("code-vs-user", CODE)
        .about("a thread writes code, and another runs it once it is published")
        .cpu(User(0), |cpu| cpu.compile(0))
        .cpu(User(0), |cpu| cpu.run_code())
        .pso()
        .add();
    list.scenario::<Code>("code-vs-lazy", CODE)
        .about("the same where the other CPU runs a kernel thread meanwhile, for which nobody interrupts it")
        .cpu(User(0), |cpu| cpu.compile(0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
            cpu.run_code();
        })
        .spaces(1, [1, 0])
        .add();
    list.scenario::<TaggedCode>("code-vs-switch", CODE)
        .about(
            "the same where the other CPU comes back from another space, to a tag under which it has entries",
        )
        .cpu(User(0), |cpu| cpu.compile(0))
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1, 0]);
            cpu.run_code();
        })
        .spaces(2, [1, 1])
        .add();
    list.scenario::<BroadcastCode>("code-vs-broadcast", CODE)
        .about("the same where flushes are broadcasts, which reach no context")
        .cpu(User(0), |cpu| cpu.compile(0))
        .cpu(User(0), |cpu| {
            cpu.run_in_turn(&[1, 0]);
            cpu.run_code();
        })
        .spaces(2, [1, 1])
        .add();
    list.scenario::<KernelBroadcastCode>("code-kernel-broadcast", CODE)
        .about("the kernel's code is patched where its flushes are broadcasts")
        .cpu(User(0), |cpu| cpu.patch_kernel_code())
        .cpu(User(0), |_| {})
        .add();
    list.scenario::<ModesCode>("code-vs-user-mode", CODE)
        .about("the kernel's code is patched while a CPU runs user code, which comes back into the kernel")
        .cpu(User(0), |cpu| cpu.patch_kernel_code())
        .cpu(User(0), |cpu| {
            cpu.go_to_user();
            cpu.come_from_user();
        })
        .modes()
        .pso()
        .add();
}

/// Platforms that break what `Platform::flush_local` says of loads, or `flush_on_entry`.
pub(super) fn mistakes(list: &mut List) {
    under_a_hypervisor(list.scenario::<ForgetsCode>("code-paravirtual-forgotten", CODE))
        .about("the same where the hypervisor leaves what was fetched of code")
        .add();
    list.scenario::<GlobalCode>("code-vs-fresh-tag", CODE)
        .about("a thread writes code, and a CPU runs it that holds nothing under the space's tag, and so was told to keep that")
        .cpu(User(0), |cpu| cpu.compile(0))
        .cpu(User(1), |cpu| {
            cpu.run_in_turn(&[0]);
            cpu.run_code();
        })
        .spaces(2, [1, 1])
        .add();
}
