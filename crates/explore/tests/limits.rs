//! Limits stop an exploration loudly; livelocks, workers, symmetry.

use crate::common::toy::Call::{Lazy, Switch, Unmap};
use crate::common::toy::Toy;
use crate::common::{MODELS, Program, Words, plain, reduced};
use shootdown_explore::sync::{cpu, demand, note, retry, wait_until};
use shootdown_explore::{Memory, Options, Reductions, Report, Verdict, explore, replay};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

fn stopped(report: &Report) -> &str {
    let Verdict::Stopped(reason) = &report.verdict else { panic!("{:?}", report.verdict) };
    assert!(!report.complete());
    reason
}

fn misused(report: &Report) -> &str {
    let Verdict::Misuses(reason) = &report.verdict else { panic!("{:?}", report.verdict) };
    reason
}

fn toy() -> Toy {
    Toy::new(&[0, 1, 0], &[&[Unmap(0, 0), Switch(1)], &[Unmap(1, 0)], &[Switch(1)]])
}

#[test]
fn the_limit_on_states_stops() {
    let report = explore(&toy(), &Options { max_states: 500, ..Options::default() });
    assert_eq!(stopped(&report), "more than 500 states");
}

#[test]
fn the_limit_on_bytes_stops() {
    let report = explore(&toy(), &Options { max_bytes: 100_000, ..Options::default() });
    assert_eq!(stopped(&report), "more than 100000 bytes of states and tables");
}

#[test]
fn the_deadline_stops() {
    let report = explore(&toy(), &Options { deadline: Some(Duration::ZERO), ..Options::default() });
    assert!(stopped(&report).starts_with("out of time after"));
}

#[test]
fn the_stop_flag_stops() {
    let stop = AtomicBool::new(true);
    let report = explore(&toy(), &Options { stop: Some(&stop), ..Options::default() });
    assert_eq!(stopped(&report), "stopped from outside");
}

#[test]
fn words_that_are_explored_are_not_used_by_threads_of_a_models_own() {
    let starts: fn(&Words) = |words| {
        std::thread::scope(|scope| {
            scope.spawn(|| words.x[0].store(1, Relaxed));
        });
    };
    let program = Program::new(&[starts]);
    let report = explore(&program, &plain(Memory::Sc));
    assert!(matches!(report.verdict, Verdict::Panics(_)), "{:?}", report.verdict);
    assert_eq!(program.words.x[0].load(Relaxed), 0, "the thread's store is refused");
    program.words.x[0].store(1, Relaxed);
    assert_eq!(program.words.x[0].load(Relaxed), 1, "what is explored no more may be changed");
}

#[test]
fn too_many_cpus_are_refused() {
    let report = explore(&Program::new(&[(|_: &Words| {}) as fn(&Words); 9]), &plain(Memory::Sc));
    assert_eq!(stopped(&report), "9 CPUs: the explorer takes 1 to 8");
}

#[test]
fn too_deep_nesting_is_refused() {
    let report = explore(&Program::new(&[|_: &Words| {}]), &Options { nesting: 9, ..plain(Memory::Sc) });
    assert!(stopped(&report).starts_with("nesting 9"));
}

#[test]
fn a_full_store_buffer_stops() {
    for options in [plain(Memory::Tso), reduced(Memory::Pso)] {
        let program = Program::new(&[|w: &Words| (0..9).for_each(|i| w.x[i % 3].store(i as u64, Relaxed))]);
        assert_eq!(stopped(&explore(&program, &options)), "the store buffer of CPU 0 exceeds 8 entries");
    }
}

#[test]
fn a_frame_that_does_not_end_stops() {
    let endless = |w: &Words| {
        let mut seen = 0;
        loop {
            seen += w.x[0].load(Relaxed);
            if seen == u64::MAX {
                break;
            }
        }
    };
    let reductions = Reductions { merge: false, ..Options::default().reductions };
    let report = explore(&Program::new(&[endless]), &Options { reductions, ..reduced(Memory::Sc) });
    let reason = misused(&report);
    assert!(reason.contains("a frame does not end: more than 20000 steps"), "{reason}");
    assert!(reason.contains("sync::wait_until") && reason.contains("sync::retry"), "{reason}");
    // The frame comes back to where it was: merged, that is a circle.
    let report = explore(&Program::new(&[endless]), &reduced(Memory::Sc));
    assert!(matches!(report.verdict, Verdict::Livelock(_)), "{:?}", report.verdict);
}

/// What `out[0]` can be after CPU 0 has run `main` while CPU 1 sets `x[0]`.
fn outcomes(main: fn(&Words)) -> Vec<u64> {
    let program = Program::new(&[main, |w: &Words| w.x[0].store(1, Relaxed)]);
    let report = explore(&program, &reduced(Memory::Sc));
    assert_eq!(report.verdict, Verdict::Holds);
    let seen = program.collector.seen.lock().unwrap();
    let outs: std::collections::BTreeSet<u64> = seen.iter().map(|words| words[4]).collect();
    outs.into_iter().collect()
}

#[inline(never)]
fn remembered(w: &Words) -> Box<u64> {
    Box::new(w.x[0].load(Relaxed))
}

/// The stack is the same whatever was read: an address that the allocator gives out again and again.
#[test]
fn frames_that_differ_on_the_heap_alone_are_not_merged() {
    let hides = |w: &Words| {
        let seen = remembered(w);
        w.x[1].load(Relaxed);
        w.x[2].load(Relaxed);
        w.out[0].store(*seen, Relaxed);
    };
    assert_eq!(outcomes(hides), [0, 1]);
}

#[test]
fn values_that_are_used_up_make_no_states() {
    let counts = |w: &Words| {
        for _ in 0..12 {
            w.x[0].load(Relaxed);
        }
    };
    let program = Program::new(&[counts, |w: &Words| (1..4).for_each(|value| w.x[0].store(value, Relaxed))]);
    let [merged, apart] = [true, false].map(|merge| {
        let reductions = Reductions { merge, ..Options::default().reductions };
        explore(&program, &Options { reductions, ..reduced(Memory::Sc) })
    });
    let finals = |report: &Report| report.reached.as_ref().map(|reached| reached.finals.clone());
    assert_eq!(finals(&merged), finals(&apart));
    assert!(merged.states * 4 < apart.states, "{} of {} states", merged.states, apart.states);
}

#[test]
fn conditions_may_only_load() {
    let program = Program::new(&[|w: &Words| wait_until(|| w.x[0].swap(1, SeqCst) == 1)]);
    assert!(misused(&explore(&program, &plain(Memory::Sc))).contains("may only load words"));
}

#[test]
fn code_that_is_not_deterministic_is_found() {
    static FLIP: AtomicBool = AtomicBool::new(false);
    let program = Program::new(&[
        |w: &Words| {
            let index = usize::from(FLIP.fetch_xor(true, SeqCst));
            w.x[index].load(Relaxed);
            w.x[2].load(Relaxed);
            w.x[2].load(Relaxed);
        },
        |w: &Words| w.x[2].store(1, Relaxed),
    ]);
    assert!(misused(&explore(&program, &plain(Memory::Sc))).contains("not deterministic"));
}

/// The first run of each frame is the only one that differs, so no history is led along again by chance.
#[test]
fn code_that_does_otherwise_only_once_is_found_when_it_runs_again_at_the_end() {
    static FIRST: AtomicBool = AtomicBool::new(true);
    let program = Program::new(&[|w: &Words| {
        w.x[usize::from(FIRST.swap(false, SeqCst))].load(Relaxed);
    }]);
    let report = explore(&program, &plain(Memory::Sc));
    let reason = misused(&report);
    assert!(reason.contains("not deterministic") && reason.contains("a load of x at "), "{reason}");
}

#[test]
fn raising_on_a_cpu_that_does_not_exist_is_refused() {
    let program = Program::new(&[|_: &Words| shootdown_explore::sync::raise(9, 0)]);
    assert!(misused(&explore(&program, &plain(Memory::Sc))).contains("raise(9, 0) on a machine of 1 CPUs"));
}

#[test]
fn words_on_the_stack_are_refused() {
    let program = Program::new(&[|_: &Words| {
        let word = shootdown_explore::sync::Word::new("local", 0);
        word.store(1, Relaxed);
    }]);
    assert!(misused(&explore(&program, &plain(Memory::Sc))).contains("is on the stack"));
}

#[test]
fn progress_is_told() {
    let told = Mutex::new(Vec::new());
    let tell = |progress: shootdown_explore::Progress| told.lock().unwrap().push(progress);
    let calls: [&[_]; 3] = [&[Unmap(0, 0), Switch(1)], &[Unmap(1, 0), Switch(0)], &[Switch(1), Switch(0)]];
    let toy = Toy::new(&[0, 1, 0], &calls);
    let options = Options {
        progress: Some(&tell),
        reductions: Reductions { partial_order: false, ..Options::default().reductions },
        max_states: 1_000_000,
        ..Options::default()
    };
    assert_eq!(stopped(&explore(&toy, &options)), "more than 1000000 states");
    let told = told.into_inner().unwrap();
    assert!(!told.is_empty());
    assert!(told.windows(2).all(|pair| (pair[0].round, pair[0].states) <= (pair[1].round, pair[1].states)));
}

#[test]
fn two_cpus_that_back_off_for_each_other_livelock() {
    // Each raises its flag, and takes it back if the other's is up; nobody can get past a flag that stays up.
    fn enter(w: &Words, me: usize, other: usize) {
        retry(|| {
            w.x[me].store(1, SeqCst);
            if w.x[other].load(SeqCst) == 0 {
                return Some(());
            }
            w.x[me].store(0, SeqCst);
            None
        });
    }
    let stuck = [(|w: &Words| enter(w, 0, 1)) as fn(&Words), |w: &Words| enter(w, 1, 0)];
    for options in [plain(Memory::Tso), reduced(Memory::Tso), Options { workers: 2, ..reduced(Memory::Pso) }]
    {
        let program = Program::new(&stuck);
        let report = explore(&program, &options);
        let Verdict::Livelock(text) = &report.verdict else { panic!("{:?}", report.verdict) };
        assert!(text.contains("CPU 1 is at"), "{text}");
        let trace = report.trace.expect("a livelock has a trace");
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        assert_eq!(replay(&program, &options, &moves).unwrap().steps.len(), moves.len());
    }
}

#[test]
fn a_lock_that_is_given_back_does_not_livelock() {
    fn locked(w: &Words) {
        retry(|| (w.x[0].swap(1, AcqRel) == 0).then_some(()));
        let value = w.x[1].load(Relaxed);
        w.x[1].store(value + 1, Relaxed);
        w.x[0].store(0, Release);
    }
    for memory in MODELS {
        for options in [plain(memory), reduced(memory)] {
            let program = Program::new(&[locked, locked, locked]);
            assert_eq!(explore(&program, &options).verdict, Verdict::Holds);
            assert!(program.seen().iter().all(|outcome| outcome[1] == 3));
        }
    }
}

#[test]
fn interchangeable_cpus_are_sorted_and_reach_the_same() {
    fn worker(w: &Words) {
        note("take a number");
        let ticket = w.x[0].fetch_add(1, AcqRel);
        wait_until(|| w.x[1].load(Acquire) == ticket);
        w.x[2].store(ticket, Relaxed);
        w.x[1].store(ticket + 1, Release);
    }
    for memory in MODELS {
        let mut program = Program::new(&[worker, worker, worker, |w: &Words| _ = w.x[2].load(Relaxed)]);
        program.symmetric = vec![vec![0, 1, 2]];
        let with = explore(&program, &reduced(memory));
        let mut options = reduced(memory);
        options.reductions.symmetry = false;
        let without = explore(&program, &options);
        assert_eq!(with.verdict, Verdict::Holds);
        assert_eq!(with.reached, without.reached);
        assert!(with.states * 3 < without.states, "{} {}", with.states, without.states);
        let both = explore(&program, &Options { workers: 2, ..reduced(memory) });
        assert_eq!((both.states, both.reached), (with.states, with.reached));
    }
}

#[test]
fn interchangeable_cpus_must_not_ask_who_they_are() {
    let mut program = Program::new(&[(|w: &Words| w.x[cpu()].store(1, Relaxed)) as fn(&Words); 2]);
    program.symmetric = vec![vec![0, 1]];
    let report = explore(&program, &reduced(Memory::Sc));
    assert_eq!(report.verdict, Verdict::Panics("symmetric code asked for its CPU number".into()));
}

#[test]
fn a_violation_among_interchangeable_cpus_has_a_trace_that_replays() {
    fn racy(w: &Words) {
        let value = w.x[0].load(Relaxed);
        w.x[0].store(value + 1, Relaxed);
        w.x[1].fetch_add(1, Relaxed);
        if w.x[1].load(Relaxed) == 3 {
            demand(w.x[0].load(Relaxed) == 3, "an increment was lost");
        }
    }
    let mut program = Program::new(&[racy as fn(&Words); 3]);
    program.symmetric = vec![vec![0, 1, 2]];
    for shortest in [true, false] {
        let options = Options { shortest, collect: false, ..reduced(Memory::Tso) };
        let report = explore(&program, &options);
        assert!(matches!(report.verdict, Verdict::Violates(_)), "{:?}", report.verdict);
        let moves: Vec<_> = report.trace.unwrap().steps.iter().map(|step| step.mov).collect();
        assert!(replay(&program, &options, &moves).unwrap().outcome.contains("an increment was lost"));
    }
}

#[test]
fn workers_and_reductions_do_not_change_what_the_toy_reaches() {
    let scripts: [&[&[_]]; 3] = [
        &[&[Unmap(0, 0)], &[Switch(0), Lazy]],
        &[&[Unmap(0, 1), Lazy], &[Switch(0)]],
        &[&[Unmap(0, 0)], &[Unmap(0, 1)]],
    ];
    for script in scripts {
        for memory in MODELS {
            let toy = Toy::new(&[0, 1], script);
            let full = explore(&toy, &Options { shortest: false, ..plain(memory) });
            let less = explore(&toy, &Options { shortest: false, ..reduced(memory) });
            let both = explore(&toy, &Options { shortest: false, workers: 2, ..reduced(memory) });
            assert_eq!(less.verdict, both.verdict);
            assert_eq!(
                (less.states, less.transitions, less.nodes),
                (both.states, both.transitions, both.nodes)
            );
            assert_eq!(less.reached, both.reached);
            if full.verdict == Verdict::Holds {
                assert_eq!(less.verdict, Verdict::Holds);
                assert_eq!(less.reached, full.reached);
                assert!(less.states * 2 < full.states);
            } else {
                assert!(matches!(less.verdict, Verdict::Violates(_)), "{:?}", less.verdict);
            }
        }
    }
}

#[test]
fn a_shortcut_that_skips_the_others_is_found() {
    let mut toy = Toy::new(&[0, 0], &[&[Unmap(0, 0)], &[Lazy]]);
    toy.shortcut = true;
    let report = explore(&toy, &Options::default());
    let Verdict::Violates(text) = &report.verdict else { panic!("{:?}", report.verdict) };
    assert!(text.words.starts_with("CPU 1 can still reach a freed frame"), "{text}");
    let trace = report.trace.unwrap();
    assert_eq!(trace.outcome, text.words);
    assert!(trace.steps.iter().any(|step| step.note == "unmap"));
}
