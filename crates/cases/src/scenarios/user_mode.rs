//! CPUs in user mode, which flushes of kernel memory pass over, and their entries.

use super::list::{List, Scenario};
use super::machines::machines;
use crate::engine::Start::User;
use crate::engine::{Nmi, TestMachine};
use shootdown::tags::Untagged;

const USER_MODE: &[&str] = &["two", "kernel", "user-mode"];

machines! {
    /// CPUs say that they run user code.
    Modes: Untagged {
        const USER_MODE: bool = true;
    }

    /// NMIs whose handler uses kernel memory.
    Profiles: Untagged {
        const USER_MODE: bool = true;
        const NMI: Nmi = Nmi::Profiles;
    }
}

pub(super) fn add(list: &mut List) {
    // The sanitizer knows no modes.
    if list.is_watched() {
        return;
    }
    comes_and_goes(list.scenario::<Modes>("user-mode-entry", USER_MODE))
        .about("a CPU runs user code and comes back into the kernel, while another unmaps two kernel pages")
        .pso()
        .add();
    comes_and_goes(list.scenario::<Profiles>("user-mode-nmi", USER_MODE))
        .about("the same with an NMI at any moment, on the way to user mode and back too, whose handler uses kernel memory")
        .add();
    list.scenario::<Modes>("user-mode-table", USER_MODE)
        .about("a page table of the kernel's is freed, which the walker of a CPU in user mode may still read")
        .cpu(User(0), |cpu| cpu.unmap_kernel_table())
        .cpu(User(0), |cpu| {
            cpu.go_to_user();
            cpu.come_from_user();
        })
        .kernel_table()
        .modes()
        .add();
    list.scenario::<Modes>("user-mode-retired", USER_MODE)
        .about("frames of kernel pages wait in a queue, past a CPU in user mode")
        .cpu(User(0), |cpu| {
            cpu.retire_kernel(0);
            cpu.gather_kernel(1);
        })
        .cpu(User(0), |cpu| {
            cpu.go_to_user();
            cpu.come_from_user();
        })
        .kernel_pages(2)
        .modes()
        .add();
}

/// One unmaps kernel pages, one goes to user mode and comes back.
fn comes_and_goes<S: TestMachine>(scenario: Scenario<'_, S>) -> Scenario<'_, S> {
    scenario
        .cpu(User(0), |cpu| {
            cpu.unmap_kernel(0);
            cpu.unmap_kernel(1);
        })
        .cpu(User(0), |cpu| {
            cpu.go_to_user();
            cpu.come_from_user();
        })
        .kernel_pages(2)
        .modes()
}
