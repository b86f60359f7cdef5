//! Embedders that load roots themselves, and owners of spaces who count their own references.

use super::list::List;
use super::machines::{Keep, Plain, Tagged};
use crate::engine::Start::{Lazy, User};

const TWO: &[&str] = &["two", "coherence"];
const THREE: &[&str] = &["three", "coherence"];

pub(super) fn add(list: &mut List) {
    entering(list);
    // The sanitizer takes a space for loaded when the engine says so, which is before a trampoline loads it.
    if !list.is_watched() {
        trampolines(list);
    }
    retiring(list);
}

fn entering(list: &mut List) {
    list.scenario::<Plain>("enter-vs-flush", TWO)
        .about("an embedder loads the root of a space, and of another, while a CPU unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| {
            cpu.enter(0);
            cpu.enter(1);
        })
        .spaces(2, [0, 0])
        .pso()
        .add();
    list.scenario::<Tagged>("enter-kept-tag", TWO)
        .about("an embedder comes back to a space whose entries it kept, while a CPU unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.enter(1);
            cpu.enter(0);
        })
        .spaces(2, [0, 1])
        .pso()
        .add();
    list.scenario::<Tagged>("enter-kept-tag-table", TWO)
        .about("the same while a page table is freed: nothing may walk it between the load and a flush")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| {
            cpu.enter(1);
            cpu.enter(0);
        })
        .spaces(2, [0, 1])
        .add();
    list.scenario::<Tagged>("enter-tag-reuse", TWO)
        .about("an embedder runs three spaces on two tags, one of which changes hands, while a CPU unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.enter(1);
            cpu.enter(2);
            cpu.enter(0);
        })
        .spaces(3, [0, 1])
        .add();
    list.scenario::<Tagged>("entry-dropped", THREE)
        .about("an embedder drops the entry to a space while a CPU unmaps in it, and one frees a table of what is loaded")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| cpu.unmap_table(1))
        .cpu(User(1), |cpu| {
            cpu.enter_and_drop(0);
            cpu.enter(1);
        })
        .spaces(2, [0, 0])
        .add();
    list.scenario::<Plain>("exit-lazy-page", TWO)
        .about("a lazy CPU returns to its space while another unmaps a page, for which nobody interrupts a lazy CPU")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.exit_lazy(0);
        })
        .add();
    list.scenario::<Plain>("exit-lazy", TWO)
        .about("a lazy CPU returns to its space, or finds itself evicted, while another frees a page table")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.exit_lazy(0);
        })
        .pso()
        .add();
}

fn trampolines(list: &mut List) {
    list.scenario::<Plain>("will-load-vs-flush", TWO)
        .about("a trampoline loads the root after the last call of the engine, while a CPU unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(1), |cpu| {
            cpu.trap();
            cpu.return_to_user(0);
        })
        .spaces(2, [0, 0])
        .pso()
        .add();
    list.scenario::<Plain>("will-load-again", TWO)
        .about("a thread comes into the kernel and returns to its own space, while a CPU frees a page table")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| {
            cpu.trap();
            cpu.return_to_user(0);
        })
        .pso()
        .add();
    list.scenario::<Plain>("will-load-lazy", TWO)
        .about("the same where the kernel is lazy meanwhile, and may be evicted")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| {
            cpu.trap();
            cpu.run_kernel_thread();
            cpu.return_to_user(0);
        })
        .add();
    list.scenario::<Plain>("will-load-lazy-page", TWO)
        .about("the same while a page is unmapped, for which nobody interrupts a lazy CPU")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.trap();
            cpu.run_kernel_thread();
            cpu.return_to_user(0);
        })
        .add();
    list.scenario::<Keep>("will-load-away", TWO)
        .about("a trampoline leaves a space for another, of which the mask keeps the bit, while a CPU unmaps in the one it left")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.trap();
            cpu.return_to_user(1);
        })
        .spaces(2, [0, 1])
        .add();
}

/// Trampolines that break the first promise of `Entry::will_load`.
pub(super) fn mistakes(list: &mut List) {
    list.scenario::<Plain>("will-load-over-another", TWO)
        .about("an entry is published while the root of another space is loaded, in which a CPU unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| cpu.return_to_user(1))
        .spaces(2, [0, 1])
        .add();
}

fn retiring(list: &mut List) {
    list.scenario::<Plain>("retire-vs-lazy", THREE)
        .about("an owner who counts references retires a space under lazy CPUs, one of which is leaving")
        .cpu(User(0), |cpu| cpu.retire(0))
        .cpu(Lazy(0), |_| {})
        .cpu(Lazy(0), |cpu| cpu.enter(1))
        .spaces(2, [0, 0])
        .owned()
        .dies(true)
        .add();
    list.scenario::<Plain>("retire-evicts", TWO)
        .about(
            "a space is retired that no flush of tables has evicted anybody from, while a lazy CPU leaves it",
        )
        .cpu(User(0), |cpu| cpu.retire_as_it_is(0))
        .cpu(Lazy(0), |cpu| cpu.enter(1))
        .spaces(2, [0, 0])
        .owned()
        .add();
    list.scenario::<Plain>("retire-asked", TWO)
        .about("the owner asks twice whether a space is retired, while a CPU leaves it for another and that for a third")
        .cpu(User(0), |cpu| cpu.retire_and_ask(0))
        .cpu(Lazy(0), |cpu| {
            cpu.enter(1);
            cpu.enter(2);
        })
        .spaces(3, [0, 0])
        .owned()
        .dies(true)
        .add();
}
