//! What the machine's CPUs do: the shapes of published benchmarks and of real loads, as scripts.

mod kernel;
mod kinds;
mod processes;
mod script;
mod threads;

use crate::machine::Op;
use script::Scripts;

pub use kinds::WorkloadKind;
pub use script::Params;

/// Writes the script of each CPU.
pub fn scripts(kind: WorkloadKind, params: Params) -> Vec<Vec<Op>> {
    let mut scripts = Scripts::new(params);
    match kind {
        WorkloadKind::TlbFlush2 => threads::tlb_flush2(&mut scripts),
        WorkloadKind::MapbenchLocal => threads::mapbench_local(&mut scripts),
        WorkloadKind::MapbenchPipeline => threads::mapbench_pipeline(&mut scripts),
        WorkloadKind::MapbenchGlobal => threads::mapbench_global(&mut scripts),
        WorkloadKind::Pingpong => threads::pingpong(&mut scripts),
        WorkloadKind::ContextSwitch => processes::context_switch(&mut scripts),
        WorkloadKind::ForkExecMigrate => processes::fork_exec_migrate(&mut scripts),
        WorkloadKind::Sqpoll => processes::sqpoll(&mut scripts),
        WorkloadKind::MmapServer => processes::mmap_server(&mut scripts),
        WorkloadKind::SingleAfterMany => processes::single_after_many(&mut scripts),
        WorkloadKind::MemcachedLazy => processes::memcached_lazy(&mut scripts),
        WorkloadKind::WorkingSets => threads::working_sets(&mut scripts),
        WorkloadKind::Reclaim => kernel::reclaim(&mut scripts),
        WorkloadKind::IsolatedTables => kernel::isolated_tables(&mut scripts),
        WorkloadKind::NumaBalancing => kernel::numa_balancing(&mut scripts),
        WorkloadKind::LargePages => threads::large_pages(&mut scripts),
    }
    scripts.finish()
}
