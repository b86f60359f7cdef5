//! The loop of events, and the coroutines that CPUs run on.

use super::cost::COSTS;
use super::hw::{self, Event, Hw, with};
use super::lines::Touched;
use super::operation::Operation;
use super::policy::{Policy, Request};
use super::tally::{Class, Totals};
use super::tlb::{PageTables, Pages};
use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::iter::Peekable;
use std::rc::Rc;

/// Most CPUs of a machine.
pub const MAX_CPUS: usize = 4096;
const STACK_BYTES: usize = 128 * 1024;

/// A number of CPUs that a machine may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CpuCount(u32);

impl CpuCount {
    /// Checks a number of CPUs.
    ///
    /// # Errors
    /// The number, unless it is 1 to [`MAX_CPUS`].
    pub fn new(cpus: usize) -> Result<Self, usize> {
        if (1..=MAX_CPUS).contains(&cpus) { Ok(Self(cpus as u32)) } else { Err(cpus) }
    }

    /// The number.
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for CpuCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a CPU is told to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// Makes a space.
    Create(u32),
    /// Runs a program in a space.
    Switch(u32),
    /// Runs a kernel thread, or with `true` nothing at all.
    Lazy(bool),
    /// A kernel thread borrows a space.
    Borrow(u32),
    /// It gives it back.
    Unborrow,
    /// The program uses these pages of the loaded space.
    Touch(Pages),
    /// The program unmaps them.
    Unmap(Pages, PageTables),
    /// The kernel takes pages of a space back, whichever is loaded; their frames wait for the flush.
    Reclaim(u32, Pages),
    /// From now on user code and the kernel have page tables of their own, and each page is flushed under two tags.
    Isolate,
    /// From now on the machine has nodes of so many CPUs, at least 1.
    Nodes(u32),
    /// Pages of a space, whichever is loaded, are changed and flushed, as a recording says.
    Flush(u32, Pages, PageTables),
    /// The program changes what they allow.
    Protect(Pages),
    /// The program makes a copy of its space, of this number; its own pages become copy-on-write.
    Fork(u32),
    /// The last program in a space, which is loaded here, ends.
    Exit(u32),
    /// The program computes for so many cycles.
    Compute(u64),
    /// Lets one waiter of a channel go on.
    Post(u32),
    /// Waits for that.
    Take(u32),
    /// From now on lines that are accessed are remembered, for [`run_watched`].
    Watch,
}

/// Where operations come from.
pub enum Source<'a> {
    /// For each CPU, what it does; each goes on when it is done.
    Scripts(Vec<Vec<Op>>),
    /// What happens when (in cycles) on which CPU, in order of time.
    Stream(Box<dyn Iterator<Item = (u64, u32, Op)> + 'a>),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What was counted.
    pub totals: Totals,
    /// CPUs that still waited for something at the end.
    pub stuck: usize,
}

enum Paused {
    Done,
    Waiting,
}

type Thread = Coroutine<Option<Op>, Paused, ()>;
type Switch = Yielder<Option<Op>, Paused>;

thread_local! {
    /// Where each CPU's coroutines are left: that of operations, and that of its handler.
    static EXITS: RefCell<Vec<[*const Switch; 2]>> = const { RefCell::new(Vec::new()) };
}

/// Suspends the current CPU until a line that it read is written.
///
/// # Panics
/// On a CPU that runs no operation (in a handler, say): only operations may wait.
pub(crate) fn suspend() {
    let cpu = with(|hw| {
        assert!(!hw.me().handles, "the handler of CPU {} waits", hw.current);
        hw.sleep();
        hw.current
    });
    leave(cpu);
}

/// Lets time pass on the current CPU, which carries out an instruction on its TLB: what others do until it is complete
/// comes first. Interrupts are off meanwhile.
pub(crate) fn pass() {
    let cpu = with(|hw| {
        let (cpu, runs) = (hw.current, hw.runs);
        let me = hw.me();
        let now = me.now;
        (me.busy, me.masked_until) = (runs, now);
        if runs {
            hw.push(now, cpu, Event::Complete);
        }
        runs.then_some(cpu)
    });
    if let Some(cpu) = cpu {
        leave(cpu);
    }
}

/// Suspends the current CPU for as long as a line takes to come from another cache: what others do until then comes
/// first.
///
/// # Panics
/// As [`suspend`].
pub(crate) fn let_others_go_first() {
    let cpu = with(|hw| {
        let cpu = hw.current;
        hw.push(hw.cpus[cpu as usize].now + COSTS.transfer, cpu, Event::Wake);
        cpu
    });
    leave(cpu);
}

/// Leaves the coroutine of CPU `cpu`, which waits.
fn leave(cpu: u32) {
    let handles = with(|hw| hw.cpus[cpu as usize].handles);
    let exit = EXITS.with_borrow(|exits| exits[cpu as usize][usize::from(handles)]);
    assert!(!exit.is_null(), "CPU {cpu} waits outside an operation");
    // SAFETY: the pointer is set while this CPU's coroutine of that kind runs, which is the caller, and the yielder lives on
    // that coroutine's stack.
    let exit = unsafe { &*exit };
    exit.suspend(Paused::Waiting);
}

/// Runs `source` on a machine of `cpus` CPUs under `policy`.
pub fn run(cpus: CpuCount, policy: Rc<dyn Policy>, source: Source<'_>) -> Outcome {
    run_watched(cpus, policy, source).0
}

/// Does the same, and says which lines were accessed since [`Op::Watch`].
pub fn run_watched(cpus: CpuCount, policy: Rc<dyn Policy>, source: Source<'_>) -> (Outcome, Vec<Touched>) {
    let before = hw::replace(Some(Hw::new(cpus.number() as usize)));
    let observer = shootdown_instrumented::observe(Some(|address, access| {
        with(|hw| hw.access(address as u64, access));
    }));
    policy.boot(cpus.number());
    with(|hw| (hw.totals, hw.runs) = (Totals::default(), true));
    let mut runner = Runner::new(cpus, policy, source);
    runner.run();
    let stuck = runner.end();
    runner.policy.finish();
    shootdown_instrumented::observe(observer);
    let mut hw = hw::replace(before).expect("the machine is where it was put");
    hw.totals.cycles = hw.cpus.iter().map(|cpu| cpu.now).max().unwrap_or(0);
    (Outcome { totals: hw.totals, stuck }, hw.watched.unwrap_or_default())
}

#[derive(Default)]
struct Channel {
    tokens: u64,
    waiters: VecDeque<u32>,
}

/// What a CPU's handler interrupts.
#[derive(Clone, Copy)]
struct Interrupted {
    class: Class,
    /// When the interrupt came, and the clock of what it interrupts.
    at: u64,
    back: u64,
    /// Flushes of its TLB before.
    flushes: u64,
    /// A line that the operation polls was written meanwhile.
    woken: bool,
}

struct Runner<'a> {
    policy: Rc<dyn Policy>,
    threads: Vec<Thread>,
    /// The handler of each CPU that has had an interrupt, and what it interrupts while it runs.
    handlers: Vec<Option<Thread>>,
    interrupted: Vec<Option<Interrupted>>,
    inbox: Vec<VecDeque<Op>>,
    /// CPUs that will come back for their next operation by themselves.
    busy: Vec<bool>,
    waiting: Vec<bool>,
    parked: usize,
    channels: HashMap<u32, Channel>,
    stream: Peekable<Box<dyn Iterator<Item = (u64, u32, Op)> + 'a>>,
}

impl<'a> Runner<'a> {
    fn new(cpus: CpuCount, policy: Rc<dyn Policy>, source: Source<'a>) -> Self {
        let cpus = cpus.number() as usize;
        let nothing: Box<dyn Iterator<Item = (u64, u32, Op)>> = Box::new(std::iter::empty());
        let (mut inbox, stream) = match source {
            Source::Scripts(scripts) => (scripts.into_iter().map(VecDeque::from).collect(), nothing),
            Source::Stream(stream) => (Vec::new(), stream),
        };
        inbox.resize_with(cpus, VecDeque::new);
        EXITS.set(vec![[std::ptr::null(); 2]; cpus]);
        let threads = (0..cpus).map(|cpu| thread(cpu as u32, Rc::clone(&policy))).collect();
        for cpu in 0..cpus as u32 {
            // CPUs do not start in step.
            with(|hw| hw.push(u64::from(cpu) * 17 % 1024, cpu, Event::Step));
        }
        Self {
            policy,
            threads,
            handlers: (0..cpus).map(|_| None).collect(),
            interrupted: vec![None; cpus],
            inbox,
            busy: vec![true; cpus],
            waiting: vec![false; cpus],
            parked: 0,
            channels: HashMap::new(),
            stream: stream.peekable(),
        }
    }

    fn run(&mut self) {
        loop {
            let next = with(|hw| hw.next_time());
            match self.stream.peek() {
                Some((at, ..)) if next.is_none_or(|next| *at <= next) => self.arrive(),
                _ if next.is_none() => return,
                _ => self.event(),
            }
        }
    }

    fn arrive(&mut self) {
        let Some((at, cpu, op)) = self.stream.next() else { return };
        self.inbox[cpu as usize].push_back(op);
        if !self.busy[cpu as usize] {
            self.busy[cpu as usize] = true;
            with(|hw| hw.push(at, cpu, Event::Step));
        }
    }

    fn event(&mut self) {
        let Some((at, cpu, event)) = with(Hw::pop) else { return };
        match event {
            Event::Step => self.step(at, cpu),
            Event::Wake => self.wake(at, cpu),
            Event::Complete => {
                with(|hw| hw.cpus[cpu as usize].busy = false);
                match self.interrupted[cpu as usize] {
                    Some(_) => self.handle(cpu),
                    None => self.resume(cpu, None),
                }
            }
            Event::Ipi => self.deliver_ipi(at, cpu),
        }
    }

    fn wake(&mut self, at: u64, cpu: u32) {
        if let Some(interrupted) = &mut self.interrupted[cpu as usize] {
            interrupted.woken = true;
            return;
        }
        let busy = with(|hw| hw.cpus[cpu as usize].busy);
        if self.waiting[cpu as usize] && !busy {
            with(|hw| hw.cpus[cpu as usize].now = hw.cpus[cpu as usize].now.max(at));
            self.resume(cpu, None);
        }
    }

    fn step(&mut self, at: u64, cpu: u32) {
        let handles = self.interrupted[cpu as usize].is_some();
        let now = with(|hw| {
            let state = &mut hw.cpus[cpu as usize];
            state.now = state.now.max(at);
            // A handler that is not done goes on first.
            state.now + u64::from(handles)
        });
        if now > at {
            return with(|hw| hw.push(now, cpu, Event::Step));
        }
        let Some(op) = self.inbox[cpu as usize].pop_front() else {
            self.busy[cpu as usize] = false;
            return;
        };
        with(|hw| hw.current = cpu);
        match op {
            Op::Touch(pages) => with(|hw| hw.touch(pages)),
            Op::Compute(cycles) => with(|hw| hw.advance(cycles)),
            Op::Watch => with(Hw::watch),
            Op::Isolate => with(|hw| hw.tags_per_space = 2),
            Op::Nodes(cpus) => with(|hw| hw.node = cpus.max(1)),
            Op::Post(channel) => self.post(channel),
            Op::Take(channel) => {
                let channel = self.channels.entry(channel).or_default();
                if channel.tokens == 0 {
                    channel.waiters.push_back(cpu);
                    self.parked += 1;
                    return;
                }
                channel.tokens -= 1;
            }
            op => return self.resume(cpu, Some(op)),
        }
        self.again(cpu);
    }

    fn again(&self, cpu: u32) {
        with(|hw| {
            let at = hw.cpus[cpu as usize].now;
            hw.push(at, cpu, Event::Step);
        });
    }

    fn post(&mut self, channel: u32) {
        let channel = self.channels.entry(channel).or_default();
        match channel.waiters.pop_front() {
            None => channel.tokens += 1,
            Some(waiter) => {
                self.parked -= 1;
                with(|hw| {
                    let at = hw.cpus[hw.current as usize].now + COSTS.transfer;
                    hw.push(at, waiter, Event::Step);
                });
            }
        }
    }

    fn resume(&mut self, cpu: u32, op: Option<Op>) {
        with(|hw| hw.current = cpu);
        match self.threads[cpu as usize].resume(op) {
            CoroutineResult::Yield(Paused::Waiting) => self.waiting[cpu as usize] = true,
            CoroutineResult::Yield(Paused::Done) | CoroutineResult::Return(()) => {
                self.waiting[cpu as usize] = false;
                with(|hw| {
                    let state = &mut hw.cpus[cpu as usize];
                    state.masked_until = state.now;
                    state.class = Class::User;
                });
                self.again(cpu);
            }
        }
    }

    /// Delivers an IPI: after the operation that runs, or in the middle of a wait or of a computation.
    fn deliver_ipi(&mut self, at: u64, cpu: u32) {
        let masked = with(|hw| {
            let state = &hw.cpus[cpu as usize];
            let until = state.masked_until.max(if state.busy || state.handles { at + 1 } else { 0 });
            (until > at).then_some(until)
        });
        if let Some(until) = masked {
            return with(|hw| hw.push(until, cpu, Event::Ipi));
        }
        let waits = self.waiting[cpu as usize];
        let interrupted = with(|hw| {
            hw.current = cpu;
            let state = &mut hw.cpus[cpu as usize];
            let (class, back, flushes, idle) = (state.class, state.now, state.flushes, state.idle);
            let at = at.max(if waits { back } else { 0 });
            state.now = at + COSTS.interrupt + if idle { COSTS.wake } else { 0 };
            state.handles = true;
            hw.totals.delivered += 1;
            hw.totals.to_idle += u64::from(idle);
            hw.begin_answer();
            Interrupted { class, at, back, flushes, woken: false }
        });
        self.interrupted[cpu as usize] = Some(interrupted);
        self.handle(cpu);
    }

    /// Begins the handler of a CPU, or goes on with it.
    fn handle(&mut self, cpu: u32) {
        with(|hw| hw.current = cpu);
        let policy = &self.policy;
        let handler = self.handlers[cpu as usize].get_or_insert_with(|| handler(cpu, Rc::clone(policy)));
        if let CoroutineResult::Yield(Paused::Waiting) = handler.resume(None) {
            return;
        }
        let Some(Interrupted { class, at, back, flushes, woken }) = self.interrupted[cpu as usize].take()
        else {
            return;
        };
        with(|hw| {
            let state = &mut hw.cpus[cpu as usize];
            state.handles = false;
            hw.totals.useless += u64::from(state.flushes == flushes);
            let end = state.now;
            state.masked_until = end;
            state.now = back.max(at) + (end - at);
            state.class = class;
            if woken {
                hw.push(end, cpu, Event::Wake);
            }
        });
    }

    /// Ends the coroutines; answers how many CPUs still waited.
    fn end(&mut self) -> usize {
        let waiting = self.waiting.iter().filter(|waits| **waits).count();
        self.handlers.iter_mut().flatten().for_each(|handler| _ = handler.resume(Some(Op::Watch)));
        for (thread, waits) in self.threads.iter_mut().zip(&self.waiting) {
            if !waits {
                thread.resume(None);
            }
        }
        waiting + self.parked
    }
}

/// The coroutine on which `cpu` carries out operations, one after the other, until it gets none.
fn thread(cpu: u32, policy: Rc<dyn Policy>) -> Thread {
    let stack = DefaultStack::new(STACK_BYTES).expect("memory for a stack");
    Coroutine::with_stack(stack, move |exit: &Switch, mut op| {
        EXITS.with_borrow_mut(|exits| exits[cpu as usize][0] = std::ptr::from_ref(exit));
        while let Some(todo) = op {
            carry_out(policy.as_ref(), todo);
            op = exit.suspend(Paused::Done);
        }
    })
}

/// The coroutine on which `cpu` handles IPIs, until it is given an operation.
fn handler(cpu: u32, policy: Rc<dyn Policy>) -> Thread {
    let stack = DefaultStack::new(STACK_BYTES).expect("memory for a stack");
    Coroutine::with_stack(stack, move |exit: &Switch, mut op: Option<Op>| {
        EXITS.with_borrow_mut(|exits| exits[cpu as usize][1] = std::ptr::from_ref(exit));
        while op.is_none() {
            policy.handle_ipi();
            op = exit.suspend(Paused::Done);
        }
    })
}

fn begin(class: Class) {
    with(|hw| hw.begin(class));
}

/// What an operation is for those who ask for it.
fn kind(op: Op) -> Option<Operation> {
    Some(match op {
        Op::Create(_) => Operation::Create,
        Op::Switch(space) if with(|hw| hw.loaded()) == Some(space) => Operation::Return,
        Op::Switch(_) => Operation::Switch,
        Op::Lazy(_) => Operation::GoLazy,
        Op::Borrow(_) => Operation::Borrow,
        Op::Unborrow => Operation::GiveBack,
        Op::Unmap(_, PageTables::Freed) | Op::Flush(_, _, PageTables::Freed) => Operation::UnmapTables,
        Op::Unmap(pages, _) | Op::Flush(_, pages, _) | Op::Reclaim(_, pages) if pages.count == 1 => {
            Operation::UnmapOne
        }
        Op::Unmap(..) | Op::Flush(..) | Op::Reclaim(..) => Operation::UnmapMany,
        Op::Protect(_) => Operation::Protect,
        Op::Fork(_) => Operation::Fork,
        Op::Exit(_) => Operation::Exit,
        Op::Touch(_)
        | Op::Compute(_)
        | Op::Post(_)
        | Op::Take(_)
        | Op::Watch
        | Op::Isolate
        | Op::Nodes(_) => return None,
    })
}

fn carry_out(policy: &dyn Policy, op: Op) {
    if let Some(kind) = kind(op) {
        with(|hw| hw.begin_operation(kind));
    }
    match op {
        // A CPU may be ahead of the one that makes the space, or behind the one that ends it: recordings have such.
        Op::Switch(space)
        | Op::Borrow(space)
        | Op::Flush(space, ..)
        | Op::Reclaim(space, _)
        | Op::Exit(space)
            if !with(|hw| hw.lives(space)) => {}
        Op::Create(space) => create(policy, space),
        Op::Switch(space) => enter(|| policy.switch(space)),
        Op::Borrow(space) => enter(|| policy.borrow(space)),
        Op::Lazy(idle) => lazy(policy, idle),
        Op::Unborrow => {
            with(|hw| hw.set_user(false));
            begin(Class::Lazy);
            policy.unborrow();
        }
        Op::Unmap(pages, tables) => change(policy, None, pages, tables, false),
        Op::Flush(space, pages, tables) => change(policy, Some(space), pages, tables, true),
        Op::Reclaim(space, pages) => change(policy, Some(space), pages, PageTables::Kept, false),
        Op::Protect(pages) => change(policy, None, pages, PageTables::Kept, true),
        Op::Fork(child) => {
            create(policy, child);
            change(policy, None, Pages::ALL, PageTables::Kept, true);
        }
        Op::Exit(space) => {
            lazy(policy, false);
            with(|hw| hw.set_lives(space, false));
            policy.last_user(space);
            change(policy, Some(space), Pages::ALL, PageTables::Freed, false);
            begin(Class::Lifetime);
            policy.end(space);
            with(|hw| hw.forget_tables(space));
        }
        Op::Touch(_)
        | Op::Compute(_)
        | Op::Post(_)
        | Op::Take(_)
        | Op::Watch
        | Op::Isolate
        | Op::Nodes(_) => {}
    }
}

fn create(policy: &dyn Policy, space: u32) {
    begin(Class::Lifetime);
    policy.create(space);
    with(|hw| hw.set_lives(space, true));
}

fn enter(switch: impl FnOnce()) {
    begin(Class::Switch);
    with(|hw| {
        // No program runs in the middle of a switch.
        hw.set_user(false);
        let cpu = hw.current as usize;
        hw.cpus[cpu].idle = false;
    });
    switch();
    with(|hw| hw.set_user(true));
}

fn lazy(policy: &dyn Policy, idle: bool) {
    with(|hw| {
        hw.set_user(false);
        let cpu = hw.current as usize;
        hw.cpus[cpu].idle = idle;
    });
    begin(Class::Lazy);
    policy.enter_lazy();
}

/// Changes page tables of a space (the loaded one, if not another is named), flushes, and gives back what went.
fn change(policy: &dyn Policy, space: Option<u32>, pages: Pages, tables: PageTables, replace: bool) {
    let Some(space) = space.or_else(|| with(|hw| hw.loaded())) else { return };
    begin(Class::Flush);
    let (retired, from, ipis_sent) = with(|hw| {
        let retired = hw.retire(space, pages, tables, replace);
        let me = &hw.cpus[hw.current as usize];
        (retired, me.now, me.ipis_sent)
    });
    policy.flush(&Request { space, pages, tables, retired: &retired });
    with(|hw| {
        hw.totals.flushes_with_ipis += u64::from(hw.cpus[hw.current as usize].ipis_sent != ipis_sent);
        hw.release(&retired);
        if !replace {
            hw.held(retired.len() as u64, from);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::model::flush_pages;
    use super::super::{PageTables, Pages, Policy, Request, with};
    use super::{CpuCount, Op, Source, run};
    use std::cell::RefCell;
    use std::rc::Rc;

    const PAGES: Pages = Pages { first: 0, count: 16 };

    /// Sends an IPI for each flush, whose handler drops 16 pages, and remembers what happens.
    #[derive(Default)]
    struct Told(RefCell<Vec<&'static str>>);

    impl Policy for Told {
        fn boot(&self, _: u32) {}
        fn create(&self, _: u32) {}
        fn switch(&self, space: u32) {
            with(|hw| hw.install(Some(space), 1, true));
        }
        fn enter_lazy(&self) {
            self.0.borrow_mut().push("another CPU acts");
        }
        fn flush(&self, _: &Request<'_>) {
            with(|hw| hw.send_ipi(1));
        }
        fn end(&self, _: u32) {}
        fn handle_ipi(&self) {
            self.0.borrow_mut().push("a handler begins");
            flush_pages(1, PAGES, PageTables::Kept);
            self.0.borrow_mut().push("it ends");
        }
    }

    #[test]
    fn others_act_while_a_handler_flushes_and_no_second_one_begins() {
        let told = Rc::new(Told::default());
        let flush = Op::Unmap(PAGES, PageTables::Kept);
        let scripts = vec![
            vec![Op::Create(0), Op::Switch(0), flush, flush],
            vec![],
            vec![Op::Compute(4_000), Op::Lazy(true)],
        ];
        let outcome = run(CpuCount::new(3).expect("CPUs"), told.clone(), Source::Scripts(scripts));
        let found = ["a handler begins", "another CPU acts", "it ends", "a handler begins", "it ends"];
        assert_eq!(*told.0.borrow(), found);
        assert_eq!((outcome.stuck, outcome.totals.delivered), (0, 2));
    }
}
