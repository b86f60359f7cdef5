//! CPUs that are lazy on a space, whose walker may follow its tables at any time.

use super::list::{FOUR, List, THREE, TWO};
use super::machines::{Plain, Tagged};
use crate::engine::Start::{Lazy, User};

pub(super) fn add(list: &mut List) {
    list.scenario::<Plain>("lazy-return", TWO)
        .about("a lazy CPU returns to its space while another unmaps")
        .cpu(User(0), |cpu| cpu.unmap(0, 0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .pso()
        .add();
    list.scenario::<Plain>("lazy-vs-table-free", THREE)
        .about("a page table is freed under a lazy CPU and an active one")
        .cpu(User(0), |cpu| cpu.unmap_table(0))
        .cpu(User(0), |cpu| {
            cpu.run_kernel_thread();
            cpu.run_in_turn(&[0]);
        })
        .cpu(Lazy(0), |_| {})
        .add();
    list.scenario::<Tagged>("lazy-vs-unhooked-table", TWO)
        .about("a table is unhooked as it was, and pages are recorded after it, while another CPU is lazy")
        .cpu(User(0), |cpu| cpu.unhook_table(0, 1))
        .cpu(Lazy(0), |_| {})
        .pso()
        .add();
    list.scenario::<Plain>("lazy-vs-final-drop", THREE)
        .about("a space dies under lazy CPUs, one of which is leaving")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |_| {})
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .dies(true)
        .add();
    list.scenario::<Plain>("four-exit", FOUR)
        .about("a space dies under three lazy CPUs")
        .cpu(User(0), |cpu| cpu.exit(0))
        .cpu(Lazy(0), |_| {})
        .cpu(Lazy(0), |_| {})
        .cpu(Lazy(0), |cpu| cpu.run_in_turn(&[1]))
        .spaces(2, [0, 1])
        .dies(true)
        .add();
}
