//! A user thread that gives way to a kernel thread and comes back must not write to memory that is not its CPU's own:
//! its cost would grow with the machine. Here all other memory is read-only while it does so, and any write ends the
//! process.
//!
//! A CPU's own memory is two pairs of lines: what it alone uses, and what it publishes, with its mailbox. The initiator
//! reads the latter, and writes it if it sends an IPI.

use super::host::{Host, Stage};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
use rustix::param::page_size;
use shootdown::flush::{FlushRequest, PageRange, VirtAddr};
use shootdown::mask::CpuMask;
use shootdown::refs::UserRef;
use shootdown::tags::Untagged;
use shootdown::{AddressSpace, CpuLocal, Shootdown};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

type Machine = Host<Untagged, false, 0>;
type Engine = Shootdown<Machine>;
type User = UserRef<'static, Machine>;

/// Tells a child process what to do with the memory read-only.
const ACT: &str = "SHOOTDOWN_ACT";
/// Signal of an access that memory does not allow.
const SIGSEGV: i32 = 11;

/// Read-only on demand: the engine, the spaces and the other CPU's memory.
struct Shared(Vec<*mut u8>);

impl Shared {
    /// Maps a page, which will be read-only, and moves `value` there.
    fn place<T>(&mut self, value: T) -> &'static T {
        let page = page_size();
        assert!(size_of::<T>() <= page && page % align_of::<T>() == 0);
        // SAFETY: the kernel chooses an address where nothing lies.
        let start = unsafe {
            mmap_anonymous(core::ptr::null_mut(), page, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        };
        let start = start.expect("a page of memory").cast::<u8>();
        let place = start.cast::<T>();
        // SAFETY: the place is free, large enough and aligned, as asserted.
        unsafe { place.write(value) };
        self.0.push(start);
        // SAFETY: the mapping holds the value and is never unmapped.
        unsafe { &*place }
    }

    fn protect(&self) {
        for &start in &self.0 {
            // SAFETY: the page belongs to the mapping; its values change through atomics alone, whose writes are what
            // is to be caught.
            unsafe { mprotect(start.cast(), page_size(), MprotectFlags::READ) }
                .expect("mprotect of a mapped page");
        }
    }
}

/// Makes a machine whose CPU 0 runs in the space that is returned.
fn machine(shared: &mut Shared) -> (&'static Engine, User) {
    let own = Box::leak(Box::new(CpuLocal::new()));
    let other = shared.place(CpuLocal::new());
    let engine = shared.place(Shootdown::new(Machine::new(Untagged, [own, other]), CpuMask::new()));
    for cpu in [1, 0] {
        engine.platform().play(cpu);
        engine.online_cpu().expect("the mask holds both CPUs");
    }
    let space = engine.new_space(0x1000, CpuMask::new()).expect("masks of one size");
    let space: &'static AddressSpace<Machine> = shared.place(space);
    let user = engine.register(space).map_err(|(refused, _)| refused).expect("a new space");
    engine.platform().play(1);
    engine.switch_to(&user);
    engine.platform().play(0);
    engine.switch_to(&user);
    (engine, user)
}

fn round_trip(engine: &Engine, user: &User) {
    engine.enter_lazy();
    engine.switch_to(user);
    // A second time as a borrower of the same space.
    engine.enter_lazy();
    drop(engine.borrow(user).expect("a kernel thread"));
    engine.switch_to(user);
}

fn flush(engine: &Engine, user: &User) {
    let page = FlushRequest::pages(PageRange::page(VirtAddr(0x7000)));
    drop(engine.send(user, page));
}

/// In the child: does what `ACT` says. In the parent: does nothing.
#[test]
fn child() {
    let Ok(act) = std::env::var(ACT) else { return };
    let mut shared = Shared(Vec::new());
    let (engine, user) = machine(&mut shared);
    shared.protect();
    match act.as_str() {
        "round trip" => round_trip(engine, &user),
        "flush" => flush(engine, &user),
        "send kernel" => drop(engine.send_kernel(FlushRequest::all())),
        "switch" => {
            engine.enter_lazy();
            engine.leave();
        }
        "count" => drop(user.clone()),
        "nothing" => {}
        other => panic!("no act {other}"),
    }
    // Without destructors: those write counts.
    std::process::exit(0);
}

fn outcome_of(act: &str) -> ExitStatus {
    let program = std::env::current_exe().expect("a test has a path");
    let mut child = Command::new(program);
    child.args(["--exact", "counts::shared_lines::child", "--test-threads=1"]).env(ACT, act);
    child.output().expect("the test starts again").status
}

#[test]
fn user_to_kernel_thread_and_back_writes_no_shared_line() {
    assert!(outcome_of("nothing").success(), "the set-up alone must not fault");
    let outcome = outcome_of("round trip");
    assert!(outcome.success(), "a write to a shared line: {outcome}");
}

#[test]
fn what_does_write_shared_lines_is_caught() {
    // A generation, that of kernel memory, a mask, a reference count.
    for act in ["flush", "send kernel", "switch", "count"] {
        let outcome = outcome_of(act);
        assert_eq!(outcome.signal(), Some(SIGSEGV), "{act} must fault and ended with {outcome}");
    }
}
