//! Names.

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// will-it-scale `tlb_flush2_threads`: each thread drops a page of its own, and uses it again.
    TlbFlush2,
    /// RadixVM `mapbench local`: each thread maps, uses and unmaps pages of its own.
    MapbenchLocal,
    /// RadixVM `mapbench pipeline`: a neighbour uses and unmaps what a thread mapped.
    MapbenchPipeline,
    /// RadixVM `mapbench global`: all use everything, then each unmaps its part.
    MapbenchGlobal,
    /// will-it-scale `context_switch1_threads`: two threads wake each other and go idle; nothing is unmapped.
    Pingpong,
    /// will-it-scale `context_switch1_processes` with threads: those of two processes take turns on each CPU, and a
    /// page goes now and then.
    ContextSwitch,
    /// The shape of a kernel's build: fork, exec, a short life with a move to another CPU, exit.
    ForkExecMigrate,
    /// A kernel thread that borrows a space now and then while its owner unmaps: what Linux commit bafb056ce279 is
    /// about.
    Sqpoll,
    /// A web server's churn: small files mapped, used and unmapped by threads that idle between requests.
    MmapServer,
    /// One thread unmaps after many others have left the space.
    SingleAfterMany,
    /// Threads that are mostly idle, woken for short requests; a page goes now and then.
    MemcachedLazy,
    /// Threads with 8 to 512 pages in use that unmap 1 to 48 pages at a time: what a full flush costs differs from CPU
    /// to CPU.
    WorkingSets,
    /// The kernel takes 32 pages at a time back from spaces that run elsewhere (Linux: `try_to_unmap_flush`).
    Reclaim,
    /// A web server's churn where user code and the kernel have page tables of their own: each page is flushed twice.
    IsolatedTables,
    /// The kernel makes runs of pages inaccessible to learn who uses them, and moves some (Linux: `task_numa_work`).
    NumaBalancing,
    /// Threads that map, use and unmap large pages beside small ones.
    LargePages,
}

impl WorkloadKind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 16] = [
        Self::TlbFlush2,
        Self::MapbenchLocal,
        Self::MapbenchPipeline,
        Self::MapbenchGlobal,
        Self::Pingpong,
        Self::ContextSwitch,
        Self::ForkExecMigrate,
        Self::Sqpoll,
        Self::MmapServer,
        Self::SingleAfterMany,
        Self::MemcachedLazy,
        Self::WorkingSets,
        Self::Reclaim,
        Self::IsolatedTables,
        Self::NumaBalancing,
        Self::LargePages,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlbFlush2 => "tlb_flush2",
            Self::MapbenchLocal => "mapbench-local",
            Self::MapbenchPipeline => "mapbench-pipeline",
            Self::MapbenchGlobal => "mapbench-global",
            Self::Pingpong => "pingpong",
            Self::ContextSwitch => "context-switch",
            Self::ForkExecMigrate => "fork-exec-migrate",
            Self::Sqpoll => "sqpoll",
            Self::MmapServer => "mmap-server",
            Self::SingleAfterMany => "single-after-many",
            Self::MemcachedLazy => "memcached-lazy",
            Self::WorkingSets => "working-sets",
            Self::Reclaim => "reclaim",
            Self::IsolatedTables => "isolated-tables",
            Self::NumaBalancing => "numa-balancing",
            Self::LargePages => "large-pages",
        }
    }

    /// Names of several workloads at once.
    pub const GROUPS: [&str; 1] = ["mapbench"];

    /// The workload of a name, or those of a group; none where nothing is called that.
    pub fn of(name: &str) -> Vec<Self> {
        let named = |kind: &Self| match kind {
            Self::MapbenchLocal | Self::MapbenchPipeline | Self::MapbenchGlobal if name == "mapbench" => true,
            kind => kind.name() == name,
        };
        Self::ALL.into_iter().filter(named).collect()
    }
}
