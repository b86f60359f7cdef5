//! A run: 16 CPUs, each with a kernel that acts at random.

use super::hw::{Hw, Kind, PAGES};
use super::kernel::Kernel;
use shootdown_under_shuttle::mask::CpuMask;
use shootdown_under_shuttle::refs::SpaceHandle;
use shootdown_under_shuttle::{AddressSpace, Shootdown};
use shuttle::scheduler::Scheduler;
use shuttle::sync::atomic::{AtomicUsize, Ordering};
use shuttle::sync::{Arc as ShuttleArc, Mutex as ShuttleMutex};
use std::sync::{Arc, Mutex};

/// CPUs of the machine.
const CPUS: usize = 16;
/// Spaces, each of which lives once.
pub const SPACES: usize = 5;
/// One CPU in so many has a thread of a given space at the start; all hold a struct reference.
const OWNERS: usize = 4;

/// A machine with its engine and spaces.
pub struct Machine<K: Kind> {
    /// The engine.
    pub engine: Box<Shootdown<Hw<K>>>,
    /// The spaces' objects.
    pub spaces: Vec<Arc<Object<K>>>,
    /// Page-table lock of each space, and of kernel memory.
    pub locks: Vec<ShuttleMutex<()>>,
    /// References that are counted and taken up by the CPU of that number: space, whether of the user kind.
    pub shares: Mutex<Vec<Vec<(usize, bool)>>>,
    /// CPUs whose scripts have ended.
    pub finished: AtomicUsize,
    /// 1 when nothing is left to do.
    pub over: AtomicUsize,
}

/// The embedder's object around a space.
pub struct Object<K: Kind> {
    pub(super) space: AddressSpace<Hw<K>>,
}

// SAFETY: 1. one field of one allocation; 2. the `Arc` keeps it in place.
unsafe impl<K: Kind> SpaceHandle<Hw<K>> for Arc<Object<K>> {
    fn space(&self) -> &AddressSpace<Hw<K>> {
        &self.space
    }
}

impl<K: Kind> Machine<K> {
    fn new() -> Arc<Self> {
        // Its spaces know it by its address.
        let engine = Box::new(Shootdown::new(Hw::new(CPUS, SPACES), CpuMask::new()));
        let space = |root| {
            Arc::new(Object { space: engine.new_space(root, CpuMask::new()).expect("masks of one size") })
        };
        let spaces: Vec<_> = (0..SPACES).map(space).collect();
        let mut shares = vec![Vec::new(); CPUS];
        for (number, object) in spaces.iter().enumerate() {
            let first =
                engine.register(object.clone()).map_err(|refused| refused.0).expect("registered once");
            for (cpu, shares) in shares.iter_mut().enumerate() {
                let _ = first.grab().into_handle();
                shares.push((number, false));
                if (cpu + number) % OWNERS == 0 {
                    let _ = first.clone().into_handle();
                    shares.push((number, true));
                }
            }
            // The first one goes to CPU `number`.
            let _ = first.into_handle();
            shares[number].push((number, true));
        }
        let machine = Arc::new(Self {
            engine,
            spaces,
            locks: (0..=SPACES).map(|_| ShuttleMutex::new(())).collect(),
            shares: Mutex::new(shares),
            finished: AtomicUsize::new(0),
            over: AtomicUsize::new(0),
        });
        let known = machine.engine.platform().machine.set(Arc::downgrade(&machine));
        assert!(known.is_ok(), "a new platform");
        machine
    }

    /// Ends a CPU's part: handles IPIs until all are done. CPU 0 does what others left undone.
    fn settle(&self, kernel: &Kernel<'_, K>, cpu: usize) {
        self.finished.fetch_add(1, Ordering::SeqCst);
        while cpu == 0 && self.finished.load(Ordering::SeqCst) < CPUS {
            kernel.idle();
        }
        if cpu == 0 {
            kernel.reap();
            self.over.store(1, Ordering::SeqCst);
        }
        while self.over.load(Ordering::SeqCst) == 0 {
            kernel.idle();
        }
    }

    fn cpu(&self, cpu: usize, steps: usize) {
        let mut kernel = Kernel::new(self, cpu);
        for _ in 0..steps {
            kernel.act();
        }
        kernel.shut_down();
        self.settle(&kernel, cpu);
    }

    fn check(&self) {
        let hw = self.engine.platform();
        let kernel_pages = hw.tables(hw.kernel(), |tables| tables.pages.len());
        for space in 0..SPACES {
            let (dead, mapped) =
                hw.tables(space, |tables| (tables.dead, tables.pages.iter().flatten().count()));
            if !dead || mapped > 0 {
                hw.oracle
                    .report(format!("space {space} outlived its references, with {mapped} of {PAGES} pages"));
            }
        }
        if hw.oracle.in_use() != kernel_pages {
            hw.oracle.report(format!("{} frames were lost", hw.oracle.in_use() - kernel_pages));
        }
    }
}

/// Runs `steps` random actions on each of 16 CPUs, once for each execution that `scheduler` has.
///
/// # Panics
/// If an execution breaks a rule; the message says how.
pub fn explore<K: Kind>(scheduler: impl Scheduler + 'static, steps: usize) {
    let mut config = shuttle::Config::new();
    config.stack_size = 0x2_0000;
    config.max_steps = shuttle::MaxSteps::FailAfter(2_000_000);
    config.silence_warnings = true;
    config.failure_persistence = shuttle::FailurePersistence::None;
    shuttle::Runner::new(scheduler, config).run(move || execute::<K>(steps));
}

fn execute<K: Kind>(steps: usize) {
    let machine = ShuttleArc::new(Machine::<K>::new());
    // Task numbers are CPU numbers: this one is 0.
    let others: Vec<_> = (1..CPUS)
        .map(|cpu| {
            let machine = machine.clone();
            shuttle::thread::spawn(move || machine.cpu(cpu, steps))
        })
        .collect();
    machine.cpu(0, steps);
    for other in others {
        other.join().expect("failures are collected, not thrown");
    }
    machine.check();
    if let Some(what) = machine.engine.platform().oracle.first() {
        panic!("{what}");
    }
}
