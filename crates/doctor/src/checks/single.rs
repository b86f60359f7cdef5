//! Methods by themselves: who the CPU is, interrupts, the IPI.

use super::check::{Check, LEAVES_OFF, no_entry, no_ipis, requests, tags};
use crate::cpu::Cpu;
use crate::plan::{Code, Handler, Plan, Start};
use crate::sim::Profile;
use crate::size::Layout;
use crate::world::{PlatformUnderTest, note, root};
use shootdown::CpuId;
use shootdown::flush::{FlushRequest, LocalFlush};
use shootdown::ports::HOST_FLUSHES;
use shootdown::tags::{OnInstall, Tag};
use shootdown::trace::IrqReason;
use shootdown_explore::{Memory, sync};
use std::cell::Cell;

const ONE: &[Memory] = &[Memory::Tso];

pub(super) fn checks<P: PlatformUnderTest>() -> Vec<Check<P>> {
    let mut checks = interrupts();
    checks.push(pin());
    checks.extend(others());
    checks.push(entry());
    checks
}

/// A check on one method, under one memory model.
fn check<P: PlatformUnderTest>(
    name: &'static str,
    [method, about, clause, remedy]: [&'static str; 4],
    needs: &'static [&'static str],
    plan: fn() -> Plan<P>,
) -> Check<P> {
    Check { name, about, method, clause, remedy, hang: None, needs, memories: ONE, unneeded: None, plan }
}

/// Checks of the CPU's number, and of what keeps others away.
fn interrupts<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        check(
            "cpu",
            [
                "cpu",
                "each CPU is asked for its number",
                "names the CPU that runs the caller, and two CPUs never share a number",
                "read the number from the CPU itself each time (TPIDR, GS, tp), and do not keep it",
            ],
            &[],
            || alone(vec![who::<P>, who, who]),
        ),
        check(
            "local",
            [
                "local",
                "the memory of all CPUs is asked for, on each of them",
                "returns the same [`CpuLocal`] for the same CPU always, and different ones for different CPUs",
                "index the memory by the number in the argument: local() is asked about other CPUs, too",
            ],
            &["cpu"],
            || alone(vec![whose::<P>, whose, whose]),
        ),
        check(
            "irq-save",
            [
                "irq_save",
                "interrupts are turned off twice, one inside the other, on each CPU and for each reason",
                "Turns interrupts off and says whether they were on",
                "read the flag, turn interrupts off whatever the reason, and return the flag as it was read",
            ],
            &[],
            || alone(vec![save::<P>; 3]),
        ),
        check(
            "irq-restore",
            [
                "irq_restore",
                "interrupts are restored from the inside out, on each CPU and for each reason",
                "Undoes [`irq_save`](Self::irq_save) on the same CPU, from the inside out.",
                "turn interrupts on if the argument says that they were on, and only then: spans nest, on each CPU by itself",
            ],
            &["irq-save"],
            || alone(vec![restore::<P>; 3]),
        ),
    ]
}

/// Whether a thread stays on its CPU.
fn pin<P: PlatformUnderTest>() -> Check<P> {
    Check {
        unneeded: (!P::PREEMPTS).then_some("kernel code is never preempted (PREEMPTS)"),
        ..check(
            "pin",
            [
                "pin",
                "a thread is pinned twice, one inside the other",
                "Keeps the calling thread on its CPU, and running, until the answer is dropped",
                "turn preemption off, and on again when the last pin is dropped: a thread that is moved after it has read its \
                 CPU's number works on the memory of another",
            ],
            &[],
            || alone(vec![pins::<P>]),
        )
    }
}

/// Waiting, and telling others.
fn others<P: PlatformUnderTest>() -> Vec<Check<P>> {
    vec![
        check(
            "relax",
            [
                "relax",
                "a wait polls, with interrupts off",
                "Called between polls of a wait, with the number of polls so far. Must not block.",
                "ease the loop (PAUSE, YIELD) and return; what the wait is for may need this very CPU",
            ],
            &["irq-save", "irq-restore"],
            || alone(vec![relax::<P>, |_| {}]),
        ),
        check(
            "stalled",
            [
                if P::SECONDARY_TLBS { "stalled, secondary_stalled" } else { "stalled" },
                "a wait stalls, with interrupts off",
                "then it is sent another IPI and the wait goes on. Must return.",
                "report and return: the wait goes on by itself, and what it is for may need this very CPU",
            ],
            &["irq-save", "irq-restore"],
            || alone(vec![stalls::<P>, |_| {}]),
        ),
        Check {
            unneeded: no_ipis::<P>(),
            ..check(
                "send-ipi",
                [
                    "send_ipi",
                    "CPU 0 sends an IPI to CPU 1 and to CPU 2, while CPU 1 sends one to CPU 0",
                    "makes the target call [`Shootdown::handle_ipi`](crate::Shootdown::handle_ipi) soon",
                    "send the interrupt to the CPU in the argument, by whatever the interrupt controller calls it; \
                     what several CPUs write in turn to send it, they share",
                ],
                &["cpu"],
                || Plan { handler: Handler::Notes, ..alone(vec![send_ipi::<P>, send_back, |_| {}]) },
            )
        },
        check(
            "needs-ack",
            [
                "needs_ack",
                "all CPUs run, and the platform is asked whether they must be waited for",
                "Whether completion must wait for `cpu`; `false` only for a CPU that is certain to flush everything before it next uses a translation",
                "answer `false` only where flush_on_entry() has got the hypervisor's word for that very stay off the CPU",
            ],
            &["cpu", "local"],
            || {
                let runs: Code<P> = |_| {};
                Plan::new(vec![
                    (Start::User(0), running::<P>),
                    (Start::User(0), runs),
                    (Start::User(0), runs),
                ])
            },
        ),
    ]
}

/// Answers about a CPU that the hypervisor has taken off.
fn entry<P: PlatformUnderTest>() -> Check<P> {
    Check {
        unneeded: no_entry::<P>(),
        ..check(
            "entry-answers",
            [
                "flush_on_entry",
                "the hypervisor has taken CPU 1 off, and the platform is asked to have it flush, by each request, and CPU 2",
                "Has `cpu` flush everything before it next uses a translation, if that takes no interrupt",
                "answer `true` for that CPU alone whose word has the request now, whatever is flushed: a request that was \
                     made already stays, and needs_ack() reads the same word and leaves it as it is",
            ],
            &["needs-ack"],
            || {
                let runs: Code<P> = |_| {};
                Plan::new(vec![
                    (Start::User(0), entries::<P>),
                    (Start::User(0), runs),
                    (Start::User(0), runs),
                ])
            },
        )
    }
}

/// Methods in the context in which the engine calls them.
pub(super) fn contexts<P: PlatformUnderTest>() -> Check<P> {
    check(
        "context",
        [
            LEAVES_OFF[0],
            "methods are called with interrupts off, as the engine calls them",
            LEAVES_OFF[1],
            LEAVES_OFF[2],
        ],
        // A wait for secondary TLBs asks them, so that the check that waits comes after this one.
        if P::SECONDARY_TLBS {
            &["irq-save", "irq-restore", "relax", "stalled", "secondary-done"]
        } else {
            &["irq-save", "irq-restore", "relax", "stalled", "flush-nobody"]
        },
        || {
            let profile = Profile { watches_context: true, ..Profile::PLAIN };
            let idle: Code<P> = |_| {};
            Plan { profile, kernel_pages: 2, ..alone(vec![context::<P>, idle, idle]) }
        },
    )
}

/// CPUs on which nothing runs but this.
fn alone<P: PlatformUnderTest>(codes: Vec<Code<P>>) -> Plan<P> {
    let cpus = codes.into_iter().map(|code| (Start::Kernel, code)).collect();
    Plan { masks: false, ..Plan::new(cpus) }
}

fn who<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let pin = cpu.platform().pin();
    let said = cpu.platform().cpu().index();
    drop(pin);
    assert!(said == cpu.id, "cpu() says {said} on CPU {}", cpu.id);
}

fn whose<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let at = |number| core::ptr::from_ref(cpu.platform().local(CpuId::new(number))).addr();
    for a in 0..3 {
        assert!(at(a) == at(a), "local({a}) answers differently when it is asked twice");
        for b in 0..a {
            assert!(at(a) != at(b), "local({a}) and local({b}) are the same memory, asked on CPU {}", cpu.id);
        }
    }
}

/// Reasons for two spans, one inside the other: each reason comes for both.
fn reasons() -> [IrqReason; 2] {
    let reason = usize::from(sync::choose(IrqReason::ALL.len() as u8));
    [IrqReason::ALL[reason], IrqReason::ALL[(reason + 1) % IrqReason::ALL.len()]]
}

fn save<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let [outside, inside] = reasons();
    note("irq_save");
    let outer = cpu.platform().irq_save(outside);
    assert!(!sync::irq_enabled(), "interrupts are on after irq_save({outside:?})");
    assert!(outer, "irq_save({outside:?}) says that interrupts were off, and they were on");
    note("irq_save, nested");
    let inner = cpu.platform().irq_save(inside);
    assert!(!sync::irq_enabled(), "interrupts are on after a nested irq_save()");
    assert!(!inner, "irq_save() says that interrupts were on, and they were off");
}

fn restore<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let [outside, inside] = reasons();
    let outer = cpu.platform().irq_save(outside);
    let inner = cpu.platform().irq_save(inside);
    note("irq_restore, nested");
    cpu.platform().irq_restore(inner);
    assert!(!sync::irq_enabled(), "irq_restore() of an inner span turns interrupts on inside the outer one");
    note("irq_restore");
    cpu.platform().irq_restore(outer);
    assert!(sync::irq_enabled(), "interrupts are still off after the outermost irq_restore()");
}

fn pins<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let open = || cpu.platform().pins();
    let before = open();
    let outer = cpu.platform().pin();
    assert!(open() > before, "the thread may be preempted, and moved, after pin()");
    let inner = cpu.platform().pin();
    drop(inner);
    assert!(open() > before, "the end of an inner pin() turns preemption on inside the outer one");
    drop(outer);
    assert!(open() == before, "preemption is still off after the end of the outermost pin()");
}

fn relax<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    assert!(P::STALL_POLLS != 0, "STALL_POLLS is 0, and a wait is counted modulo it");
    let were_on = sync::irq_save();
    note("relax");
    cpu.platform().relax(1);
    cpu.platform().relax(1 << 20);
    sync::irq_restore(were_on);
}

fn stalls<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let were_on = sync::irq_save();
    note("stalled");
    cpu.platform().stalled(CpuId::new(1), P::STALL_POLLS);
    if P::SECONDARY_TLBS {
        note("secondary_stalled, about what is never worked off");
        cpu.platform().secondary_stalled(1 << 40, P::STALL_POLLS);
    }
    sync::irq_restore(were_on);
}

fn context<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let (platform, other) = (cpu.platform(), CpuId::new(1));
    let tag = Tag::new(tags::<P>()[0].into());
    let off = |what: &'static str, method: &dyn Fn()| {
        note(what);
        cpu.wires().with_interrupts_off(method);
    };
    off("cpu", &|| _ = platform.cpu());
    off("local", &|| _ = platform.local(other));
    off("tags", &|| _ = platform.tags());
    for tag in [Some(tag), None] {
        for request in requests(if tag.is_some() { cpu.both() } else { cpu.kernel_pages(Layout::Pair) }) {
            // SAFETY: 1. they are off.
            off("flush_local", &|| unsafe { platform.flush_local(LocalFlush { tag, request }) });
        }
    }
    if P::LOADS_ROOTS {
        for how in [OnInstall::Flush, OnInstall::Keep] {
            // SAFETY: 1. they are off; 2. nothing is freed here; 3. no other space has run.
            off("install", &|| unsafe { platform.install(Some(root::<P>(0)), tag, how) });
        }
        // SAFETY: 1. they are off; 2. nothing is freed here; 3. as above.
        off("install", &|| unsafe { platform.install(None, Tag::NONE, OnInstall::Keep) });
    }
    off("pin, nested", &|| drop((platform.pin(), platform.pin())));
    off("before_offline", &|| platform.before_offline());
    off("publish_tables", &|| platform.publish_tables());
    for request in requests(cpu.kernel_pages(Layout::Pair)) {
        off("flush_remote", &|| cpu.engine().flush_kernel(request));
    }
    for request in requests(cpu.both()) {
        off("flush_remote", &|| cpu.engine().flush(cpu.space(0), request));
    }
    if P::SENDS_IPIS {
        off("send_ipi", &|| platform.send_ipi(other));
    }
    for space in [Some(cpu.space(0)), None] {
        off("gathered, released", &|| {
            platform.released(platform.gathered(space, FlushRequest::all()));
            platform.released(0);
        });
    }
    off("needs_ack", &|| _ = platform.needs_ack(other));
    off("relax", &|| platform.relax(1));
    off("stalled", &|| platform.stalled(other, P::STALL_POLLS));
    if P::SECONDARY_TLBS {
        secondary_context(cpu);
    }
    note("pin, and its end, with interrupts on");
    drop((platform.pin(), platform.pin()));
    assert!(sync::irq_enabled(), "interrupts are off after pin() and its end, and they were on");
}

/// The same of what secondary TLBs are told and asked.
fn secondary_context<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let platform = cpu.platform();
    for request in requests(cpu.both()) {
        for space in [Some(cpu.space(0)), None] {
            let position = Cell::new(0);
            let posts = || position.set(platform.invalidate_secondary(space, request));
            note("invalidate_secondary");
            cpu.wires().with_interrupts_off(posts);
            note("secondary_is_done");
            cpu.wires().with_interrupts_off(|| _ = platform.secondary_is_done(position.get()));
        }
    }
    note("secondary_stalled");
    cpu.wires().with_interrupts_off(|| platform.secondary_stalled(1, P::STALL_POLLS));
}

fn send_ipi<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    for target in [1, 2] {
        note(["", "send an IPI to CPU 1", "send an IPI to CPU 2"][target]);
        send(cpu, target);
    }
}

/// What CPU 1 does meanwhile.
fn send_back<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    note("send an IPI to CPU 0");
    send(cpu, 0);
}

fn send<P: PlatformUnderTest>(cpu: &Cpu<'_, P>, target: usize) {
    let pin = cpu.platform().pin();
    cpu.platform().send_ipi(CpuId::new(target as u32));
    drop(pin);
    // Whether both leave interrupts as they were is a question of the check `context`.
    sync::irq_restore(true);
    cpu.wires().await_handled(target);
}

fn entries<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    let (platform, [off, on]) = (cpu.platform(), [CpuId::new(1), CpuId::new(2)]);
    for space in [Some(cpu.space(0).id()), None] {
        for request in requests(cpu.both()) {
            note("the hypervisor takes CPU 1 off");
            cpu.wires().say_off(1, true);
            assert!(
                !platform.flush_on_entry(on, space, request) && platform.needs_ack(on),
                "flush_on_entry(2) is true or needs_ack(2) is false, and CPU 1 is off and CPU 2 runs"
            );
            let asked = [(); 2].map(|()| platform.flush_on_entry(off, space, request));
            let awaited = [(); 2].map(|()| platform.needs_ack(off));
            let is_asked = cpu.wires().say_off(1, false) & HOST_FLUSHES != 0;
            assert!(
                !asked.contains(&true) || is_asked,
                "flush_on_entry(1) is true for {request:?}, and the hypervisor has not been asked to flush"
            );
            assert!(
                !asked[1] || awaited == [false; 2],
                "flush_on_entry(1) is true, and needs_ack(1) does not answer false until CPU 1 runs again"
            );
        }
    }
}

fn running<P: PlatformUnderTest>(cpu: &Cpu<'_, P>) {
    for target in 0..3 {
        let id = CpuId::new(target);
        assert!(cpu.platform().needs_ack(id), "needs_ack({target}) is false, and CPU {target} runs");
        let request = FlushRequest::all();
        let deferred = P::FLUSHES_ON_ENTRY && cpu.platform().flush_on_entry(id, None, request);
        assert!(!deferred, "flush_on_entry({target}) is true, and CPU {target} runs: nobody flushes there");
        assert!(cpu.platform().needs_ack(id), "needs_ack({target}) is false, and CPU {target} runs");
    }
}
