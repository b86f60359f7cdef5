//! Weak memory by name: what each fence and ordering buys, handlers that share their CPU's view, interrupts that
//! overtake stores or not, waits, memory that is given back, limits, and what a counterexample says.

use crate::common::{Program, Words, plain, reduced};
use shootdown_explore::sync::{choose, demand, fence, irq_save, raise, retire, retry, wait_until};
use shootdown_explore::{Action, Interrupts, Memory, Move, Options, Report, Trace, Verdict, explore, replay};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

/// Outcomes of `out[0..N]`, with reductions and without, which must agree.
fn outcomes<const N: usize>(program: impl Fn() -> Program) -> BTreeSet<[u64; N]> {
    let run = |options: &Options<'_>| {
        let program = program();
        assert_eq!(explore(&program, options).verdict, Verdict::Holds);
        program.outs(N).into_iter().map(|out| out.try_into().unwrap()).collect::<BTreeSet<_>>()
    };
    let full = run(&plain(Memory::Weak));
    assert_eq!(run(&reduced(Memory::Weak)), full);
    full
}

fn allows<const N: usize>(mains: &[fn(&Words)], outcome: [u64; N]) -> bool {
    outcomes::<N>(|| Program::new(mains)).contains(&outcome)
}

fn verdict(program: &Program) -> Verdict {
    let full = explore(program, &Options { collect: false, ..plain(Memory::Weak) }).verdict;
    let less = explore(program, &Options { collect: false, ..reduced(Memory::Weak) }).verdict;
    assert_eq!(full, less);
    full
}

/// Stores `x[0]`, then reads `x[1]`; and the other way round.
mod store_buffering {
    use super::*;

    fn mains<const FENCES: usize>() -> [fn(&Words); 2] {
        [
            |w| {
                w.x[0].store(1, Release);
                fence(if FENCES > 0 { SeqCst } else { AcqRel });
                w.out[0].store(w.x[1].load(Acquire), Relaxed);
            },
            |w| {
                w.x[1].store(1, Release);
                fence(if FENCES > 1 { SeqCst } else { AcqRel });
                w.out[1].store(w.x[0].load(Acquire), Relaxed);
            },
        ]
    }

    #[test]
    fn needs_full_fences_on_both_sides() {
        assert!(allows(&mains::<0>(), [0, 0]));
        assert!(allows(&mains::<1>(), [0, 0]));
        assert!(!allows(&mains::<2>(), [0, 0]));
    }

    #[test]
    fn is_not_forbidden_by_read_modify_writes() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].swap(1, AcqRel);
                w.out[0].store(w.x[1].load(Acquire), Relaxed);
            },
            |w| {
                w.x[1].swap(1, AcqRel);
                w.out[1].store(w.x[0].load(Acquire), Relaxed);
            },
        ];
        assert!(allows(&mains, [0, 0]));
    }
}

mod message_passing {
    use super::*;

    fn relaxed_writer(w: &Words) {
        w.x[0].store(1, Relaxed);
        w.x[1].store(1, Relaxed);
    }
    fn releasing_writer(w: &Words) {
        w.x[0].store(1, Relaxed);
        w.x[1].store(1, Release);
    }
    fn fencing_writer(w: &Words) {
        w.x[0].store(1, Relaxed);
        fence(Release);
        w.x[1].store(1, Relaxed);
    }
    fn relaxed_reader(w: &Words) {
        let (flag, data) = (w.x[1].load(Relaxed), w.x[0].load(Relaxed));
        w.out[0].store(flag, Relaxed);
        w.out[1].store(data, Relaxed);
    }
    fn acquiring_reader(w: &Words) {
        let (flag, data) = (w.x[1].load(Acquire), w.x[0].load(Relaxed));
        w.out[0].store(flag, Relaxed);
        w.out[1].store(data, Relaxed);
    }
    fn fencing_reader(w: &Words) {
        let flag = w.x[1].load(Relaxed);
        fence(Acquire);
        w.out[1].store(w.x[0].load(Relaxed), Relaxed);
        w.out[0].store(flag, Relaxed);
    }

    #[test]
    fn needs_a_release_and_an_acquire() {
        let writers = [relaxed_writer as fn(&Words), releasing_writer, fencing_writer];
        let readers = [relaxed_reader as fn(&Words), acquiring_reader, fencing_reader];
        for (number, writer) in writers.into_iter().enumerate() {
            for (other, reader) in readers.into_iter().enumerate() {
                let ordered = number > 0 && other > 0;
                assert_eq!(allows(&[writer, reader], [1, 0]), !ordered, "writer {number}, reader {other}");
            }
        }
    }

    #[test]
    fn a_wait_that_does_not_acquire_lets_old_data_be_read() {
        let reader: [fn(&Words); 2] = [
            |w| {
                wait_until(|| w.x[1].load(Relaxed) == 1);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            },
            |w| {
                wait_until(|| w.x[1].load(Acquire) == 1);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            },
        ];
        assert!(allows(&[releasing_writer, reader[0]], [0]));
        assert_eq!(outcomes::<1>(|| Program::new(&[releasing_writer, reader[1]])), [[1]].into());
    }
}

mod independent_reads {
    use super::*;

    fn mains<const FULL: bool>() -> [fn(&Words); 4] {
        [
            |w| w.x[0].store(1, Release),
            |w| w.x[1].store(1, Release),
            |w| {
                w.out[0].store(w.x[0].load(Acquire), Relaxed);
                if FULL {
                    fence(SeqCst);
                }
                w.out[1].store(w.x[1].load(Acquire), Relaxed);
            },
            |w| {
                w.out[2].store(w.x[1].load(Acquire), Relaxed);
                if FULL {
                    fence(SeqCst);
                }
                w.out[3].store(w.x[0].load(Acquire), Relaxed);
            },
        ]
    }

    #[test]
    fn of_independent_writes_may_disagree_without_full_fences() {
        assert!(allows(&mains::<false>(), [1, 0, 1, 0]));
        assert!(!allows(&mains::<true>(), [1, 0, 1, 0]));
    }
}

mod stores {
    use super::*;

    #[test]
    fn of_two_cpus_may_pass_each_other_both_times() {
        let after = |w: &Words| {
            wait_until(|| w.x[2].load(Acquire) == 1 && w.x[3].load(Acquire) == 1);
            w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            w.out[1].store(w.x[1].load(Relaxed), Relaxed);
        };
        let relaxed: [fn(&Words); 3] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(2, Relaxed);
                w.x[2].store(1, Release);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                w.x[0].store(2, Relaxed);
                w.x[3].store(1, Release);
            },
            after,
        ];
        let fenced: [fn(&Words); 3] = [
            |w| {
                w.x[0].store(1, Relaxed);
                fence(SeqCst);
                w.x[1].store(2, Relaxed);
                w.x[2].store(1, Release);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                fence(SeqCst);
                w.x[0].store(2, Relaxed);
                w.x[3].store(1, Release);
            },
            after,
        ];
        assert!(allows(&relaxed, [1, 1]));
        assert!(!allows(&fenced, [1, 1]));
    }
}

#[test]
fn a_store_goes_before_none_that_its_cpu_knows_of() {
    let program = Program::new(&[|w: &Words| {
        w.x[0].store(1, Relaxed);
        w.x[0].store(2, Relaxed);
    }]);
    let moves = [Action::Run, Action::Older(1)].map(|action| Move { cpu: 0, action });
    assert_eq!(replay(&program, &plain(Memory::Weak), &moves).unwrap_err().0, 1);
}

mod release_sequences {
    use super::*;

    fn released(w: &Words) {
        w.x[0].store(1, Relaxed);
        w.x[1].store(1, Release);
    }
    /// Reads the data if it sees the flag at 2.
    fn reader(w: &Words) {
        let flag = w.x[1].load(Acquire);
        let data = w.x[0].load(Relaxed);
        w.out[0].store(flag, Relaxed);
        w.out[1].store(data, Relaxed);
    }

    #[test]
    fn go_on_with_read_modify_writes_of_others() {
        let adder: fn(&Words) = |w| {
            let _ = w.x[1].compare_exchange(1, 2, Relaxed, Relaxed);
        };
        assert!(!allows(&[released, adder, reader], [2, 0]));
    }

    #[test]
    fn end_with_the_next_store_of_the_same_cpu() {
        let writer: fn(&Words) = |w| {
            released(w);
            w.x[1].store(2, Relaxed);
        };
        assert!(allows(&[writer, reader], [2, 0]), "as in C++20, not as in C++11");
    }
}

mod interrupts {
    use super::*;

    #[test]
    fn share_the_view_of_their_cpu() {
        // The handler has read the new flag with acquire, so main code reads the new data by a relaxed load.
        let program = || {
            let reader: fn(&Words) = |w| {
                wait_until(|| w.out[2].load(Relaxed) != 99);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            };
            let writer: fn(&Words) = |w| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(1, Release);
            };
            let mut program = Program::new(&[writer, reader])
                .with_irq(|w, _, _| w.out[2].store(w.x[1].load(Acquire), Relaxed));
            program.pending = vec![0, 1];
            program
        };
        let seen: BTreeSet<[u64; 2]> =
            outcomes::<3>(program).into_iter().map(|[data, _, flag]| [flag, data]).collect();
        assert_eq!(seen, [[0, 0], [0, 1], [1, 1]].into());
    }

    fn sender(order: Interrupts) -> Program {
        let mut program = Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                raise(1, 0);
            },
            |_: &Words| {},
        ])
        .with_irq(|w, _, _| w.out[0].store(w.x[0].load(Relaxed), Relaxed));
        program.interrupts = order;
        program
    }

    #[test]
    fn may_overtake_stores_unless_the_platform_orders_them() {
        assert_eq!(outcomes::<1>(|| sender(Interrupts::Overtake)), [[0], [1]].into());
        assert_eq!(outcomes::<1>(|| sender(Interrupts::Follow)), [[1]].into());
    }

    /// Turning interrupts off is joined with the load behind it where one may come.
    #[test]
    fn turned_off_make_no_load_read_what_is_new() {
        let program = || {
            let writer: fn(&Words) = |w| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(1, Relaxed);
            };
            let reader: fn(&Words) = |w| {
                let flag = w.x[1].load(Relaxed);
                irq_save();
                w.out[1].store(w.x[0].load(Relaxed), Relaxed);
                w.out[0].store(flag, Relaxed);
            };
            let mut program = Program::new(&[writer, reader]).with_irq(|w, _, _| w.out[2].store(1, Relaxed));
            program.pending = vec![0, 1];
            program
        };
        let seen: BTreeSet<[u64; 2]> = outcomes::<2>(program).into_iter().collect();
        assert_eq!(seen, [[0, 0], [0, 1], [1, 0], [1, 1]].into());
    }

    /// What a handler stores carries what its CPU's last release fence knew: less if it comes before the fence.
    #[test]
    fn between_a_store_and_a_release_fence_do_not_carry_the_store() {
        let program = || {
            let writer: fn(&Words) = |w| {
                w.x[0].store(1, Relaxed);
                fence(Release);
            };
            let reader: fn(&Words) = |w| {
                w.out[0].store(w.x[1].load(Acquire), Relaxed);
                w.out[1].store(w.x[0].load(Relaxed), Relaxed);
            };
            let mut program = Program::new(&[writer, reader])
                .with_irq(|w, _, _| w.x[1].store(w.x[0].load(Relaxed), Relaxed));
            program.pending = vec![1, 0];
            program
        };
        assert_eq!(outcomes::<2>(program), [[0, 0], [0, 1], [1, 0], [1, 1]].into());
    }

    #[test]
    fn may_overtake_full_fences() {
        let fenced = |order: Interrupts| {
            let mut program = sender(order);
            program.mains[0] = |w| {
                w.x[0].store(1, Relaxed);
                fence(SeqCst);
                raise(1, 0);
            };
            program.with_irq(|w, _, _| {
                fence(SeqCst);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            })
        };
        assert_eq!(outcomes::<1>(|| fenced(Interrupts::Overtake)), [[0], [1]].into());
        assert_eq!(outcomes::<1>(|| fenced(Interrupts::Follow)), [[1]].into());
    }

    #[test]
    fn on_their_way_are_not_told_what_is_stored_later() {
        let program = || {
            let mut program = sender(Interrupts::Follow);
            program.words.out[0] = shootdown_explore::sync::Word::new("out", 0);
            program.mains[0] = |w| {
                raise(1, 0);
                w.x[0].store(1, Relaxed);
            };
            program
        };
        assert_eq!(outcomes::<1>(program), [[0], [1]].into());
    }
}

mod waits {
    use super::*;

    /// CPU 2 has read the flag without acquire, so it need not know of the 2: its own store may go before that, and end
    /// the wait.
    #[test]
    fn may_end_by_a_store_that_goes_before_the_newest() {
        let mains: [fn(&Words); 3] = [
            |w| {
                w.x[0].store(2, Relaxed);
                w.x[1].store(1, Relaxed);
            },
            |w| wait_until(|| w.x[0].load(Relaxed) == 1),
            |w| {
                wait_until(|| w.x[1].load(Relaxed) == 1);
                w.x[0].store(1, Relaxed);
            },
        ];
        for options in [plain(Memory::Weak), reduced(Memory::Weak)] {
            let program = Program::new(&mains);
            let _ = explore(&program, &options);
            let last: BTreeSet<u64> = program.seen().into_iter().map(|words| words[0]).collect();
            assert_eq!(last, [1, 2].into(), "the wait ends whichever store goes last");
        }
    }

    #[test]
    fn see_new_stores_in_the_end() {
        let mains: [fn(&Words); 2] = [
            |w| w.x[0].store(1, Relaxed),
            |w| wait_until(|| w.x[0].load(Relaxed) + w.x[1].load(Relaxed) == 1),
        ];
        assert_eq!(verdict(&Program::new(&mains)), Verdict::Holds);
    }

    #[test]
    fn for_what_nobody_stores_are_deadlocks_though_old_values_can_be_read() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[0].store(2, Relaxed);
            },
            |w| wait_until(|| w.x[0].load(Relaxed) == 3 || w.x[1].load(Relaxed) == 1),
        ];
        assert!(matches!(verdict(&Program::new(&mains)), Verdict::Deadlock(_)));
    }

    #[test]
    fn may_end_by_a_value_that_is_gone() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[0].store(2, Relaxed);
                w.x[1].store(1, Relaxed);
            },
            |w| {
                wait_until(|| w.x[1].load(Relaxed) == 1);
                wait_until(|| w.x[0].load(Relaxed) > 0);
                w.out[0].store(w.x[0].load(Relaxed), Relaxed);
            },
        ];
        assert_eq!(outcomes::<1>(|| Program::new(&mains)), [[1], [2]].into());
    }

    #[test]
    fn spins_end_as_well() {
        let mains: [fn(&Words); 2] = [
            |w| w.x[0].store(1, Release),
            |w| {
                retry(|| (w.x[0].load(Acquire) == 1).then_some(()));
                w.out[0].store(1, Relaxed);
            },
        ];
        assert_eq!(outcomes::<1>(|| Program::new(&mains)), [[1]].into());
    }
}

mod given_back {
    use super::*;

    fn program<const ACQUIRES: bool>() -> Program {
        Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(1, Release);
            },
            |w: &Words| {
                wait_until(|| w.x[1].load(if ACQUIRES { Acquire } else { Relaxed }) == 1);
                retire(&w.x[0]);
            },
        ])
    }

    #[test]
    fn memory_must_have_seen_the_stores_to_it() {
        assert_eq!(verdict(&program::<true>()), Verdict::Holds);
        let text = "a store to W.x[0] may still be on its way where its memory is given back";
        assert_eq!(verdict(&program::<false>()), Verdict::Violates(text.into()));
    }
}

mod uses {
    use super::*;

    /// CPU 0 uses a word and says so by a flag; CPU 1 gives the word's memory back.
    fn verdict_of(uses: fn(&Words), gives: fn(&Words)) -> Verdict {
        verdict(&Program::new(&[uses, gives]))
    }

    fn releases(w: &Words) {
        w.x[0].load(Relaxed);
        w.x[1].store(1, Release);
    }
    fn fences(w: &Words) {
        w.x[0].load(Relaxed);
        fence(Release);
        w.x[1].store(1, Relaxed);
    }
    fn says(w: &Words) {
        w.x[0].load(Relaxed);
        w.x[1].store(1, Relaxed);
    }
    fn uses_once_more(w: &Words) {
        releases(w);
        w.x[0].load(Relaxed);
        w.x[2].store(1, Relaxed);
    }
    fn acquires(w: &Words) {
        wait_until(|| w.x[1].load(Acquire) == 1);
        retire(&w.x[0]);
    }
    fn reads(w: &Words) {
        wait_until(|| w.x[1].load(Relaxed) == 1);
        retire(&w.x[0]);
    }
    fn waits_for_both(w: &Words) {
        wait_until(|| w.x[1].load(Acquire) == 1);
        wait_until(|| w.x[2].load(Relaxed) == 1);
        retire(&w.x[0]);
    }

    /// Nothing but loads, so that no store is on its way: what a machine with load buffering may do.
    #[test]
    fn must_be_known_to_be_over() {
        assert_eq!(verdict_of(releases, acquires), Verdict::Holds);
        assert_eq!(verdict_of(fences, acquires), Verdict::Holds);
        let text = "nothing orders CPU 0's last use of Word before its memory is given back";
        for (uses, gives) in [
            (says as fn(&Words), acquires as fn(&Words)),
            (says, reads),
            (releases, reads),
            (uses_once_more, waits_for_both),
        ] {
            assert_eq!(verdict_of(uses, gives), Verdict::Violates(text.into()));
        }
    }

    #[test]
    fn are_told_on_by_who_knows() {
        let passes_on: fn(&Words) = |w| {
            wait_until(|| w.x[1].load(Acquire) == 1);
            w.x[2].store(1, Release);
        };
        let third: fn(&Words) = |w| {
            wait_until(|| w.x[2].load(Acquire) == 1);
            retire(&w.x[0]);
        };
        assert_eq!(verdict(&Program::new(&[releases, passes_on, third])), Verdict::Holds);
        assert!(matches!(verdict(&Program::new(&[says, passes_on, third])), Verdict::Violates(_)));
    }
}

mod refused {
    use super::*;

    fn reason(main: fn(&Words)) -> String {
        match verdict(&Program::new(&[main])) {
            Verdict::Stopped(reason) => reason,
            verdict => panic!("{verdict:?}"),
        }
    }

    #[test]
    fn are_accesses_that_the_model_does_not_have() {
        type Refused = (fn(&Words), &'static str);
        let mains: [Refused; 4] = [
            (
                |w| _ = w.x[0].load(SeqCst),
                "this load of x is one; write fence(SeqCst) before an Acquire load",
            ),
            (
                |w| w.x[0].store(1, SeqCst),
                "this store of x is one; write a Release store and fence(SeqCst) after it",
            ),
            (|w| _ = w.x[0].fetch_or(1, SeqCst), "this read-modify-write of x is one; write AcqRel and"),
            (|w| _ = w.x[0].compare_exchange(0, 1, AcqRel, SeqCst), "this read-modify-write of x is one;"),
        ];
        for (main, text) in mains {
            let reason = reason(main);
            assert!(reason.contains(text) && reason.contains("tests/weak.rs:"), "{reason}");
        }
    }

    #[test]
    fn are_more_stores_than_fit() {
        let mains: [fn(&Words); 2] = [
            |w| (1..60).for_each(|value| w.x[0].store(value, Relaxed)),
            |w| {
                wait_until(|| w.x[1].load(Relaxed) == 1);
                w.x[0].load(Relaxed);
            },
        ];
        let report = explore(&Program::new(&mains), &plain(Memory::Weak));
        let text = "W.x[0]: a word has more stores that can still be read than fit";
        assert_eq!(report.verdict, Verdict::Stopped(text.to_owned()));
    }
}

mod counterexamples {
    use super::*;

    fn program() -> Program {
        Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(1, Relaxed);
            },
            |w: &Words| {
                if w.x[1].load(Acquire) == 1 {
                    demand(w.x[0].load(Relaxed) == 1, "old data");
                }
            },
        ])
    }

    fn found() -> (Report, Trace) {
        let mut report = explore(&program(), &Options { memory: Memory::Weak, ..Options::default() });
        let trace = report.trace.take().unwrap();
        (report, trace)
    }

    #[test]
    fn say_which_newer_store_was_passed_over() {
        let (report, trace) = found();
        assert!(matches!(report.verdict, Verdict::Violates(_)));
        let texts: Vec<&str> = trace.steps.iter().map(|step| step.text.as_str()).collect();
        let expected = [
            "W.x[0] := 0x1",
            "W.x[1] := 0x1",
            "reads W.x[1] = 0x1",
            "reads W.x[0] = 0x0 (older than CPU 0's store of 0x1, of which this CPU has not heard)",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn say_where_an_acquire_is_missing() {
        let program = Program::new(&[
            |w: &Words| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(1, Release);
            },
            |w: &Words| {
                if w.x[1].load(Relaxed) == 1 {
                    demand(w.x[0].load(Relaxed) == 1, "old data");
                }
            },
        ]);
        let report = explore(&program, &Options { memory: Memory::Weak, ..Options::default() });
        let steps = report.trace.expect("a counterexample").steps;
        assert_eq!(
            steps.last().expect("a step").text,
            "reads W.x[0] = 0x0 (older than CPU 0's store of 0x1, of which this CPU has heard without acquire)"
        );
    }

    #[test]
    fn can_be_replayed() {
        let (_, trace) = found();
        let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
        let options = Options { memory: Memory::Weak, ..Options::default() };
        let again = replay(&program(), &options, &moves).unwrap();
        assert_eq!(again.outcome, trace.outcome);
        let mut wrong = moves.clone();
        wrong[3].action = Action::Older(2);
        assert_eq!(replay(&program(), &options, &wrong).unwrap_err().0, 3);
        let other = Options { memory: Memory::Pso, ..options };
        assert_eq!(replay(&program(), &other, &moves).unwrap_err().0, 3);
    }

    #[test]
    fn may_begin_with_a_choice() {
        let program = Program::new(&[
            |w: &Words| w.x[0].store(choose(2).into(), Relaxed),
            |w: &Words| demand(w.x[0].load(Relaxed) != 1, "one"),
        ]);
        assert!(matches!(verdict(&program), Verdict::Violates(_)));
    }
}
