//! What the machine does: interrupts, waits, retries, dead memory, panics, limits.

use crate::common::{MODELS, Program, Words, plain, reduced, run, verdicts};
use shootdown_explore::sync::{
    choose, demand, fence, irq_enabled, irq_restore, irq_save, lose_interrupts, raise, retire, retry,
    wait_until,
};
use shootdown_explore::{Memory, Verdict, explore, replay};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

fn set(outcomes: &[&[u64]]) -> BTreeSet<Vec<u64>> {
    outcomes.iter().map(|outcome| outcome.to_vec()).collect()
}

#[test]
fn store_buffering_shows_under_tso_only() {
    for memory in MODELS {
        let program = Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                w.out[0].store(w.x[1].load(Relaxed), Relaxed);
            },
            |w: &Words| {
                w.x[1].store(1, Relaxed);
                w.out[1].store(w.x[0].load(Relaxed), Relaxed);
            },
        ]);
        let report = run(&program, memory);
        assert_eq!(report.verdict, Verdict::Holds);
        let mut expected = set(&[&[0, 1], &[1, 0], &[1, 1]]);
        if memory != Memory::Sc {
            expected.insert(vec![0, 0]);
        }
        assert_eq!(program.outs(2), expected, "{memory:?}");
    }
}

#[test]
fn an_interrupt_comes_anywhere_once() {
    let mut program = Program::new(&[|w: &Words| {
        w.out[0].store(w.x[0].load(Relaxed), Relaxed);
        w.out[1].store(w.x[0].load(Relaxed), Relaxed);
    }])
    .with_irq(|w, _, _| {
        w.x[0].fetch_add(1, Relaxed);
    });
    program.pending = vec![1];
    assert_eq!(run(&program, Memory::Sc).verdict, Verdict::Holds);
    assert_eq!(program.outs(2), set(&[&[0, 0], &[0, 1], &[1, 1]]));
}

#[test]
fn masked_interrupts_wait_and_non_maskable_ones_do_not() {
    for (non_maskable, expected) in [(0, set(&[&[0]])), (1, set(&[&[0], &[1]]))] {
        let mut program = Program::new(&[|w: &Words| {
            let on = irq_save();
            let before = w.x[0].load(Relaxed);
            let after = w.x[0].load(Relaxed);
            w.out[0].store(after - before, Relaxed);
            irq_restore(on);
        }])
        .with_irq(|w, _, _| {
            assert!(!irq_enabled());
            w.x[0].fetch_add(1, Relaxed);
        });
        program.pending = vec![1];
        program.non_maskable = non_maskable;
        assert_eq!(run(&program, Memory::Tso).verdict, Verdict::Holds);
        assert_eq!(program.outs(1), expected);
    }
}

#[test]
fn handlers_nest_up_to_the_limit() {
    for nesting in [1, 2] {
        let mut program = Program::new(&[|w: &Words| w.x[3].store(1, Relaxed)]).with_irq(|w, _, line| {
            // out[line]: whether the other handler was in the middle of its work.
            w.out[usize::from(line)].store(w.x[usize::from(1 - line)].load(Relaxed), Relaxed);
            w.x[usize::from(line)].store(1, Relaxed);
            irq_restore(true);
            w.x[usize::from(line)].store(0, Relaxed);
        });
        program.pending = vec![3];
        let options = shootdown_explore::Options { nesting, ..plain(Memory::Sc) };
        assert_eq!(explore(&program, &options).verdict, Verdict::Holds);
        let expected = if nesting == 1 { set(&[&[0, 0]]) } else { set(&[&[0, 0], &[0, 1], &[1, 0]]) };
        assert_eq!(program.outs(2), expected, "nesting {nesting}");
    }
}

#[test]
fn a_finished_cpu_serves_interrupts() {
    for memory in MODELS {
        let program = Program::new(&[
            |w: &Words| {
                raise(1, 5);
                wait_until(|| w.x[0].load(Acquire) == 1);
            },
            |_: &Words| {},
        ])
        .with_irq(|w, cpu, line| {
            assert_eq!((cpu, line), (1, 5));
            w.x[0].store(1, Release);
        });
        assert_eq!(run(&program, memory).verdict, Verdict::Holds);
        assert_eq!(explore(&program, &reduced(memory)).verdict, Verdict::Holds);
    }
}

#[test]
fn waiting_with_interrupts_off_for_ones_own_handler_is_a_deadlock() {
    let program = Program::new(&[
        |w: &Words| {
            let on = irq_save();
            raise(1, 0);
            wait_until(|| w.x[1].load(Relaxed) == 1);
            irq_restore(on);
        },
        |w: &Words| {
            let on = irq_save();
            raise(0, 0);
            wait_until(|| w.x[0].load(Relaxed) == 1);
            irq_restore(on);
        },
    ])
    .with_irq(|w, cpu, _| w.x[cpu].store(1, Relaxed));
    for options in [plain(Memory::Tso), reduced(Memory::Tso)] {
        let report = explore(&program, &options);
        let Verdict::Deadlock(text) = &report.verdict else { panic!("{:?}", report.verdict) };
        assert!(text.contains("CPU 0 waits for W.x[1] to change from 0x0"), "{text}");
        assert!(text.contains("CPU 1 waits for W.x[0]"), "{text}");
        let trace = report.trace.expect("a deadlock has a trace");
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        let again = replay(&program, &options, &moves).expect("the trace replays");
        assert_eq!(&again.outcome, text);
        assert_eq!(again.steps.len(), trace.steps.len());
    }
}

#[test]
fn waits_wake_when_a_word_they_read_changes() {
    for memory in MODELS {
        let program = Program::new(&[
            |w: &Words| {
                wait_until(|| w.x[0].load(Relaxed) == 2 || w.x[1].load(Relaxed) == 1);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            },
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                w.x[0].store(2, Relaxed);
            },
        ]);
        assert_eq!(run(&program, memory).verdict, Verdict::Holds);
        assert_eq!(program.outs(1), set(&[&[2]]));
    }
}

/// The first of two words changes while the second is read, to what ends the wait and to what does not.
#[test]
fn a_wait_goes_by_what_it_has_read_and_wakes_for_what_has_changed_since() {
    let program = |set: fn(&Words)| {
        let mains: [fn(&Words); 2] =
            [|w| wait_until(|| w.x[0].load(Acquire) == 1 || w.x[1].load(Acquire) == 1), set];
        move || Program::new(&mains).unwatched()
    };
    let ends = verdicts(program(|w| w.x[0].store(1, Release)), |verdict| verdict == Verdict::Holds);
    assert_eq!(ends, [true; 8]);
    let stuck = verdicts(
        program(|w| w.x[0].store(2, Release)),
        |verdict| matches!(&verdict, Verdict::Deadlock(text) if text.contains("CPU 0")),
    );
    assert_eq!(stuck, [true; 8]);
}

#[test]
fn retries_end_and_leave_no_history() {
    for memory in MODELS {
        let program = Program::new(&[increment, increment, increment]);
        let report = run(&program, memory);
        assert_eq!(report.verdict, Verdict::Holds);
        assert!(program.seen().iter().all(|outcome| outcome[0] == 3));
    }
    fn increment(w: &Words) {
        retry(|| {
            let value = w.x[0].load(Relaxed);
            w.x[0].compare_exchange(value, value + 1, SeqCst, Relaxed).ok()
        });
    }
}

#[test]
fn choose_tries_all() {
    let program = Program::new(&[|w: &Words| w.out[0].store(choose(3).into(), Relaxed)]);
    assert_eq!(run(&program, Memory::Tso).verdict, Verdict::Holds);
    assert_eq!(program.outs(1), set(&[&[0], &[1], &[2]]));
}

#[test]
fn a_panic_and_a_demand_that_is_not_met_are_told_apart_and_have_their_texts() {
    let demands: fn(&Words) = |w| demand(w.x[0].load(Relaxed) == 0, "x must stay 0");
    let panics: fn(&Words) = |w| assert!(w.x[0].load(Relaxed) == 0, "x must stay 0");
    let expected = [
        (demands, Verdict::Violates("x must stay 0".into())),
        (panics, Verdict::Panics("x must stay 0".into())),
    ];
    for (reader, verdict) in expected {
        finds(&Program::new(&[reader, |w: &Words| w.x[0].store(1, Relaxed)]), &verdict);
    }
}

#[track_caller]
fn finds(program: &Program, verdict: &Verdict) {
    for options in [plain(Memory::Tso), reduced(Memory::Tso)] {
        let report = explore(program, &options);
        assert_eq!(report.verdict, *verdict);
        let texts: Vec<String> = report.trace.unwrap().steps.into_iter().map(|step| step.text).collect();
        assert_eq!(texts, ["W.x[0] := 0x1 (buffered)", "W.x[0] = 0x1 reaches memory", "reads W.x[0] = 0x1"]);
    }
}

#[test]
fn destructors_that_run_during_a_panic_do_not_disturb() {
    struct Guard<'a>(&'a Words);
    impl Drop for Guard<'_> {
        fn drop(&mut self) {
            irq_restore(true);
            self.0.x[0].store(7, SeqCst);
            wait_until(|| self.0.x[1].load(Relaxed) == 5);
        }
    }
    let program = Program::new(&[|w: &Words| {
        let _guard = Guard(w);
        w.x[2].load(Relaxed);
        panic!("on purpose");
    }]);
    assert_eq!(run(&program, Memory::Sc).verdict, Verdict::Panics("on purpose".into()));
}

#[test]
fn retired_memory_must_not_be_used() {
    for memory in MODELS {
        let program = Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                fence(SeqCst);
                retire(w);
            },
            |w: &Words| {
                if w.x[0].load(Relaxed) == 0 {
                    w.x[1].load(Relaxed);
                }
            },
        ]);
        for options in [plain(memory), reduced(memory)] {
            let report = explore(&program, &options);
            let Verdict::Violates(broken) = &report.verdict else { panic!("{:?}", report.verdict) };
            let text = &broken.words;
            assert!(text.starts_with("use of W.x["), "{text}");
            assert!(text.ends_with("after its memory was given back"), "{text}");
        }
    }
}

#[test]
fn each_access_to_retired_memory_is_found() {
    let accesses: [fn(&Words); 5] = [
        |w| _ = w.x[0].load(Relaxed),
        |w| w.x[0].store(1, Relaxed),
        |w| _ = w.x[0].fetch_add(1, Relaxed),
        |w| _ = w.x[0].compare_exchange(5, 6, Relaxed, Relaxed),
        |w| wait_until(|| w.x[0].load(Relaxed) == 5),
    ];
    let retires: fn(&Words) = |w| retire(w);
    for access in accesses {
        // On the CPU that gives it back, in a handler that may come at any time; and on another one.
        let own = || Program {
            pending: vec![1],
            ..Program::new(&[access]).with_irq(|w, _, _| retire(w)).unwatched()
        };
        let others = || Program::new(&[retires, access]).unwatched();
        let breaks = |verdict| matches!(verdict, Verdict::Violates(_));
        assert_eq!((verdicts(own, breaks), verdicts(others, breaks)), (vec![true; 8], vec![true; 8]));
    }
}

/// Main code stores, and gives the memory back in the next step, or its handler does: the store may be in the buffer
/// still.
#[test]
fn a_store_that_is_on_its_way_to_retired_memory_is_found() {
    for memory in [Memory::Tso, Memory::Pso] {
        for options in [plain(memory), reduced(memory)] {
            let itself = Program::new(&[|w| {
                w.x[0].store(1, Relaxed);
                retire(w);
            }]);
            let mut handler =
                Program::new(&[|w: &Words| w.x[0].store(1, Relaxed)]).with_irq(|w, _, _| retire(w));
            handler.pending = vec![1];
            for program in [itself, handler] {
                let verdict = explore(&program.unwatched(), &options).verdict;
                let expected = "use of W.x[0] after its memory was given back";
                assert_eq!(verdict, Verdict::Violates(expected.into()), "{memory:?}");
            }
        }
    }
}

/// The handler knows from its own CPU's buffer that the store has been made, so it never comes before it.
#[test]
fn a_store_that_a_handler_cuts_off_from_its_memory_is_found() {
    for memory in [Memory::Tso, Memory::Pso] {
        for options in [plain(memory), reduced(memory)] {
            let mut program = Program::new(&[|w: &Words| {
                w.x[0].store(1, Relaxed);
            }])
            .with_irq(|w, _, _| {
                if w.x[0].load(Relaxed) == 1 {
                    retire(w);
                }
            });
            program.pending = vec![1];
            let verdict = explore(&program.unwatched(), &options).verdict;
            let expected = "use of W.x[0] after its memory was given back";
            assert_eq!(verdict, Verdict::Violates(expected.into()), "{memory:?}");
        }
    }
}

#[test]
fn memory_that_is_given_back_twice_is_found() {
    let twice: fn(&Words) = |w| {
        retire(w);
        retire(w);
    };
    let once: fn(&Words) = |w| retire(w);
    let found = Verdict::Violates("the memory of W was given back twice".into());
    for mains in [&[twice] as &[fn(&Words)], &[once, once]] {
        assert_eq!(verdicts(|| Program::new(mains).unwatched(), |verdict| verdict), vec![found.clone(); 8]);
    }
}

#[test]
fn a_buffered_store_to_retired_memory_is_found() {
    let program = Program::new(&[|w: &Words| {
        w.x[0].store(1, Relaxed);
        retire(w);
    }]);
    assert_eq!(run(&program, Memory::Sc).verdict, Verdict::Holds);
    for options in [plain(Memory::Tso), reduced(Memory::Tso)] {
        let report = explore(&program, &options);
        let expected = "use of W.x[0] after its memory was given back";
        assert_eq!(report.verdict, Verdict::Violates(expected.into()));
    }
}

#[test]
fn replay_says_where_a_move_is_impossible() {
    let program = Program::new(&[|w: &Words| {
        w.x[0].load(Relaxed);
    }]);
    let run = shootdown_explore::Move { cpu: 0, action: shootdown_explore::Action::Run };
    let trace = replay(&program, &plain(Memory::Tso), &[run]).unwrap();
    assert_eq!(trace.steps[0].text, "reads W.x[0] = 0x0");
    assert_eq!(trace.outcome, "");
    let (index, reason) = replay(&program, &plain(Memory::Tso), &[run, run]).unwrap_err();
    assert_eq!((index, reason.as_str()), (1, "CPU 0 has finished"));
}

#[test]
fn a_raise_may_merge_with_a_pending_interrupt_or_come_after_it() {
    for options in [plain(Memory::Tso), reduced(Memory::Tso)] {
        let mut program = Program::new(&[|_: &Words| raise(1, 0), |_: &Words| {}]).with_irq(|w, _, _| {
            w.out[0].fetch_sub(1, Relaxed);
        });
        program.pending = vec![0, 1];
        assert_eq!(explore(&program, &options).verdict, Verdict::Holds);
        assert_eq!(program.outs(1), set(&[&[97], &[98]]));
    }
}

#[test]
fn a_non_maskable_handler_that_turns_interrupts_on_lets_others_in_before_it_returns() {
    for options in [plain(Memory::Pso), reduced(Memory::Pso)] {
        let mut program = Program::new(&[|w: &Words| {
            let on = irq_save();
            let before = w.x[0].load(Relaxed);
            let after = w.x[0].load(Relaxed);
            w.out[0].store(after - before, Relaxed);
            irq_restore(on);
        }])
        .with_irq(|w, _, line| {
            if line == 1 {
                irq_restore(true);
            } else {
                w.x[0].fetch_add(1, Relaxed);
            }
        });
        (program.pending, program.non_maskable) = (vec![3], 2);
        assert_eq!(explore(&program, &options).verdict, Verdict::Holds);
        assert_eq!(program.outs(1), set(&[&[0], &[1]]));
    }
}

#[test]
fn a_lost_interrupt_does_not_come_and_a_later_one_does() {
    for memory in MODELS {
        let program = Program::new(&[
            |w: &Words| {
                let on = irq_save();
                w.x[1].store(1, Release);
                wait_until(|| w.x[0].load(Acquire) == 1);
                lose_interrupts(0b01);
                w.x[1].store(2, Release);
                irq_restore(on);
                wait_until(|| w.x[2].load(Acquire) == 1);
            },
            |w: &Words| {
                wait_until(|| w.x[1].load(Acquire) == 1);
                raise(0, 0);
                raise(0, 1);
                w.x[0].store(1, Release);
                wait_until(|| w.x[1].load(Acquire) == 2);
                w.x[3].swap(1, SeqCst);
                raise(0, 0);
                w.x[2].store(1, Release);
            },
        ])
        .with_irq(|w, _, line| {
            let came = &w.out[usize::from(line)];
            assert_eq!((line, came.load(Relaxed)), (line, 99), "each line comes once");
            came.store(w.x[3].load(Acquire), Relaxed);
        });
        let report = run(&program, memory);
        assert_eq!(report.verdict, Verdict::Holds, "{memory:?}");
        // Line 0 comes after the loss alone; line 1 is not lost, and comes before or after.
        assert_eq!(program.outs(2), set(&[&[1, 0], &[1, 1]]), "{memory:?}");
    }
}
