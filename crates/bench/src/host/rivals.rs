//! What a program or a small kernel has today.

use super::pin;
use super::way::Way;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::{JoinHandle, park_timeout, yield_now};
use std::time::Duration;

const PAGE: usize = 4096;

/// What a thread does first, and what it does over and over.
type Work = (Box<dyn FnOnce() + Send>, Box<dyn FnMut() + Send>);

/// Threads that do their work while they are awake, until they are stopped.
pub(super) struct Threads {
    gate: Arc<Gate>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Gate {
    awake: AtomicBool,
    stop: AtomicBool,
    working: AtomicUsize,
}

impl Threads {
    /// Starts threads, asleep, and returns when all have done what they do first.
    ///
    /// Each stays on a CPU of its own, as long as there are enough besides that of the caller.
    pub(super) fn start(count: usize, mut work: impl FnMut(usize) -> Work) -> Self {
        let gate = Arc::new(Gate::default());
        let ready = Arc::new(Barrier::new(count + 1));
        let start = |index| {
            let (first, again) = work(index);
            let (gate, ready) = (Arc::clone(&gate), Arc::clone(&ready));
            std::thread::spawn(move || {
                pin::spread(index + 1).expect("the thread may stay where it may run");
                first();
                ready.wait();
                gate.work(again);
            })
        };
        let threads = (0..count).map(start).collect();
        ready.wait();
        Self { gate, threads }
    }

    /// Lets them work, and returns when all do.
    pub(super) fn wake(&self) {
        self.gate.awake.store(true, Ordering::Release);
        self.threads.iter().for_each(|thread| thread.thread().unpark());
        wait(|| self.gate.working.load(Ordering::Acquire) == self.threads.len());
    }

    /// Sends them to sleep, and returns when all do.
    pub(super) fn rest(&self) {
        self.gate.awake.store(false, Ordering::Release);
        wait(|| self.gate.working.load(Ordering::Acquire) == 0);
    }

    /// Stops them.
    pub(super) fn stop(self) {
        self.gate.stop.store(true, Ordering::Release);
        self.threads.iter().for_each(|thread| thread.thread().unpark());
        for thread in self.threads {
            thread.join().expect("a thread that polls");
        }
    }
}

impl Gate {
    fn work(&self, mut again: impl FnMut()) {
        while !self.stop.load(Ordering::Acquire) {
            if !self.awake.load(Ordering::Acquire) {
                park_timeout(Duration::from_millis(1));
                continue;
            }
            self.working.fetch_add(1, Ordering::Release);
            while self.awake.load(Ordering::Acquire) {
                for _ in 0..64 {
                    again();
                    std::hint::spin_loop();
                }
                yield_now();
            }
            self.working.fetch_sub(1, Ordering::Release);
        }
    }
}

/// One lock, one request, a count of answers: what most small kernels begin with.
struct Broadcast {
    state: Arc<Request>,
    sharers: u64,
}

#[derive(Default)]
struct Request {
    lock: Mutex<()>,
    number: AtomicU64,
    answers: AtomicU64,
}

impl Way for Broadcast {
    fn name(&self) -> &'static str {
        "mutex-broadcast"
    }
    fn flush(&mut self) {
        let guard = self.state.lock.lock().expect("nobody panics with it");
        self.state.answers.store(0, Ordering::Relaxed);
        self.state.number.fetch_add(1, Ordering::Release);
        wait(|| self.state.answers.load(Ordering::Acquire) == self.sharers);
        drop(guard);
    }
}

pub(super) fn wait(ready: impl Fn() -> bool) {
    let mut polls = 0_u64;
    while !ready() {
        polls += 1;
        if polls % 64 == 0 {
            yield_now();
        }
        std::hint::spin_loop();
    }
}

/// Starts the threads of a shootdown by lock and broadcast.
pub(super) fn broadcast(sharers: usize) -> (Box<dyn Way>, Threads) {
    let state = Arc::new(Request::default());
    let threads = Threads::start(sharers, |_| {
        let state = Arc::clone(&state);
        let mut seen = 0;
        let again = move || {
            let number = state.number.load(Ordering::Acquire);
            if number != seen {
                seen = number;
                state.answers.fetch_add(1, Ordering::Release);
            }
        };
        (Box::new(|| {}), Box::new(again))
    });
    (Box::new(Broadcast { state, sharers: sharers as u64 }), threads)
}

struct Membarrier;

impl Way for Membarrier {
    fn name(&self) -> &'static str {
        "membarrier"
    }
    fn flush(&mut self) {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED).expect("registered before");
    }
}

fn membarrier(command: libc::c_int) -> io::Result<()> {
    // SAFETY: the call takes three numbers and touches no memory of this process.
    let answer = unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A page that is made writable, written and made read-only again, which takes translations away from the threads that
/// read it.
struct Mprotect {
    page: usize,
}

impl Mprotect {
    fn new() -> io::Result<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { page: page.expose_provenance() })
    }

    fn protect(&self, protection: libc::c_int) {
        let page = ptr::with_exposed_provenance_mut(self.page);
        // SAFETY: the page is this value's own mapping, which stays readable.
        let answer = unsafe { libc::mprotect(page, PAGE, protection) };
        assert_eq!(answer, 0, "{}", io::Error::last_os_error());
    }
}

impl Way for Mprotect {
    fn name(&self) -> &'static str {
        "mprotect"
    }
    fn flush(&mut self) {
        self.protect(libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the page is mapped, and atomic accesses race with nothing.
        let word = unsafe { AtomicU64::from_ptr(ptr::with_exposed_provenance_mut(self.page)) };
        word.store(0, Ordering::Relaxed);
        self.protect(libc::PROT_READ);
    }
}

/// Answers to signals so far.
static ANSWERED: AtomicU64 = AtomicU64::new(0);

extern "C" fn answer(_: libc::c_int) {
    fence(Ordering::SeqCst);
    ANSWERED.fetch_add(1, Ordering::Release);
}

struct Signal {
    threads: Arc<Mutex<Vec<libc::pthread_t>>>,
}

impl Way for Signal {
    fn name(&self) -> &'static str {
        "signal"
    }
    fn flush(&mut self) {
        let before = ANSWERED.load(Ordering::Acquire);
        let threads = self.threads.lock().expect("nobody panics with it");
        for &thread in threads.iter() {
            // SAFETY: the thread runs until `stop`, which comes after the last flush.
            let sent = unsafe { libc::pthread_kill(thread, libc::SIGUSR2) };
            assert_eq!(sent, 0, "{}", io::Error::from_raw_os_error(sent));
        }
        wait(|| ANSWERED.load(Ordering::Acquire) - before >= threads.len() as u64);
    }
}

/// The ways that the host's kernel offers; their threads read a page whose protection changes.
pub(super) fn rivals(sharers: usize) -> io::Result<(Vec<Box<dyn Way>>, Threads)> {
    membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)?;
    let mprotect = Mprotect::new()?;
    let handler: extern "C" fn(libc::c_int) = answer;
    // SAFETY: the handler only fences and adds to an atomic, which signal handlers may do.
    let before = unsafe { libc::signal(libc::SIGUSR2, handler as *const () as libc::sighandler_t) };
    if before == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    let page = mprotect.page;
    let threads = Arc::new(Mutex::new(Vec::new()));
    let sleepers = Threads::start(sharers, |_| {
        let threads = Arc::clone(&threads);
        let first = move || {
            // SAFETY: the call has no preconditions.
            let me = unsafe { libc::pthread_self() };
            threads.lock().expect("nobody panics with it").push(me);
        };
        let again = move || {
            // SAFETY: the mapping is never unmapped and stays readable; all accesses are atomic.
            let word = unsafe { AtomicU64::from_ptr(ptr::with_exposed_provenance_mut(page)) };
            assert_eq!(word.load(Ordering::Relaxed), 0, "nobody writes anything else to the page");
        };
        (Box::new(first), Box::new(again))
    });
    Ok((vec![Box::new(Membarrier), Box::new(mprotect), Box::new(Signal { threads })], sleepers))
}
