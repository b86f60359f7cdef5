//! Masks of several words, which have a summary.

use super::list::List;
use super::machines::machines;
use crate::engine::Start::{Kernel, Lazy, Offline, User};
use shootdown::mask::OnLeave;
use shootdown::tags::Untagged;

const TWO: &[&str] = &["two", "wide"];
const THREE: &[&str] = &["three", "wide"];

machines! {
    /// Each CPU in a mask word of its own.
    Wide: Untagged {
        const CPUS_PER_WORD: u32 = 1;
    }

    /// The same, where bits stay until they are trimmed.
    WideKeep: Untagged {
        const ON_LEAVE: OnLeave = OnLeave::KeepBit;
        const CPUS_PER_WORD: u32 = 1;
    }

    /// Two CPUs to a mask word.
    Paired: Untagged {
        const CPUS_PER_WORD: u32 = 2;
    }
}

pub(super) fn add(list: &mut List) {
    a_word_each(list);
    list.scenario::<Paired>("wide-joiners", THREE)
        .about("two CPUs join in one word, of which one marks it, while a third unmaps")
        .cpu(Kernel, |cpu| cpu.run_in_turn(&[0]))
        .cpu(Kernel, |cpu| cpu.run_in_turn(&[0]))
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .spaces(1, [2, 0])
        .add();
    list.scenario::<Paired>("wide-leaver", THREE)
        .about("the only member in a word leaves, another joins under its mark, while a third unmaps")
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1]))
        .cpu(Kernel, |cpu| cpu.run_in_turn(&[0]))
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .spaces(2, [1, 1])
        .add();
}

fn a_word_each(list: &mut List) {
    list.scenario::<Wide>("wide-switch-in", TWO)
        .about("a CPU joins a mask in a word where nobody was, while another unmaps")
        .cpu(User(0), |cpu| {
            cpu.unmap(0, 0);
            cpu.unmap(0, 1);
        })
        .cpu(Kernel, |cpu| cpu.run_in_turn(&[0]))
        .spaces(1, [1, 0])
        .pso()
        .add();
    list.scenario::<Wide>("wide-hotplug", TWO)
        .about("a CPU comes on line in a word of its own while kernel memory goes")
        .cpu(User(0), |cpu| cpu.unmap_kernel(0))
        .cpu(Offline, |cpu| {
            cpu.come_online();
            cpu.run_in_turn(&[0]);
        })
        .kernel_pages(1)
        .spaces(1, [1, 0])
        .pso()
        .add();
    list.scenario::<Wide>("wide-return", TWO)
        .about("a CPU leaves its word empty and comes back while another unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Wide>("wide-final-drop", THREE)
        .about("a space dies under a lazy CPU, while another borrows it and is first in its word")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |_| {})
        .cpu(Kernel, |cpu| cpu.upgrade_and_borrow_once(0))
        .pins(1)
        .dies(true)
        .add();
    list.scenario::<WideKeep>("wide-trim", TWO)
        .about("a word that trimming empties is joined again while another unmaps")
        .cpu(User(0), |cpu| {
            cpu.trim(0);
            cpu.unmap(0, 0);
        })
        .cpu(User(0), |cpu| cpu.run_in_turn(&[1, 0]))
        .spaces(2, [0, 1])
        .add();
}
