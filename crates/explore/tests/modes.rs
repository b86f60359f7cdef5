//! What a run may be asked for beside one verdict on every execution: all findings, executions of few contexts, random
//! ones.

use crate::common::{MODELS, Program, Words, plain, reduced};
use shootdown_explore::sync::{choose, demand, fence, retry, wait_until};
use shootdown_explore::{Memory, Options, Report, Sampling, Verdict, explore, replay};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

/// Runs without collecting.
fn run(program: &Program, options: &Options<'_>) -> Report {
    explore(program, &Options { collect: false, ..options.clone() })
}

mod all_findings {
    use super::*;

    /// CPU 0 blocks for ever, at once or after a while; CPU 1 breaks one of two rules after a few steps.
    fn program() -> Program {
        Program::new(&[
            |w| {
                if choose(2) == 1 {
                    w.x[0].store(1, Relaxed);
                }
                wait_until(|| w.x[3].load(Relaxed) == 1);
            },
            |w| {
                for word in &w.x[1..3] {
                    word.store(1, SeqCst);
                }
                match choose(3) {
                    0 => demand(w.x[0].load(Relaxed) == 0, "the first rule"),
                    1 => demand(false, "the second rule"),
                    _ => {}
                }
            },
        ])
    }

    fn kinds(report: &Report) -> Vec<String> {
        let word = |verdict: &Verdict| match verdict {
            Verdict::Violates(broken) => broken.words.lines().next().unwrap_or_default().to_owned(),
            Verdict::Deadlock(_) => "deadlock".to_owned(),
            other => panic!("{other:?}"),
        };
        report.findings.iter().map(|finding| word(&finding.verdict)).collect()
    }

    #[test]
    fn a_run_goes_on_after_a_finding_and_lists_each_once_the_worst_first() {
        for memory in MODELS {
            for options in [plain(memory), reduced(memory), Options { workers: 2, ..reduced(memory) }] {
                let report = run(&program(), &Options { all_findings: true, ..options });
                let kinds = kinds(&report);
                assert_eq!(kinds.len(), 3, "{memory:?}: {kinds:?}");
                assert!(
                    kinds[0].contains("the first rule") && kinds[1].contains("the second rule"),
                    "{kinds:?}"
                );
                assert_eq!((kinds[2].as_str(), &report.cut), ("deadlock", &None));
                assert_eq!(report.verdict, report.findings[0].verdict);
            }
        }
    }

    #[test]
    fn without_it_the_nearest_finding_hides_the_others() {
        let only = Program::new(&[
            |w| wait_until(|| w.x[3].load(Relaxed) == 1),
            |w| {
                w.x[0].store(1, Relaxed);
                // Another CPU would have to be interrupted for this to run.
                demand(choose(1) == 0, "one answer");
            },
        ]);
        assert!(matches!(run(&only, &reduced(Memory::Tso)).verdict, Verdict::Deadlock(_)));
        let report = run(&program(), &reduced(Memory::Tso));
        assert!(report.findings.is_empty() && matches!(report.verdict, Verdict::Violates(_)));
    }

    #[test]
    fn each_trace_is_the_shortest_and_comes_to_its_finding_when_it_is_run_again() {
        let program = program();
        let report = run(&program, &Options { all_findings: true, ..reduced(Memory::Sc) });
        // Two stores, the choice, and for the first rule CPU 0's choice and store, and the load.
        let steps = |at: usize| report.findings[at].trace.as_ref().map(|trace| trace.steps.len());
        assert_eq!((steps(0), steps(1)), (Some(6), Some(3)));
        for finding in &report.findings {
            let trace = finding.trace.as_ref().expect("a trace");
            let moves: Vec<_> = trace.steps.iter().map(|step| step.mov).collect();
            let again = replay(&program, &reduced(Memory::Sc), &moves).expect("it can be run");
            assert!(finding.verdict.is_finding(), "{finding:?}");
            assert_eq!(Some(again.outcome.as_str()), finding.verdict.words());
        }
    }

    #[test]
    fn a_limit_is_told_beside_what_was_found_until_then() {
        let options = Options { all_findings: true, max_states: 3, shortest: false, ..plain(Memory::Sc) };
        let report = run(&program(), &options);
        match (&report.verdict, &report.cut) {
            (Verdict::Stopped(_), None) => assert!(report.findings.is_empty()),
            (Verdict::Violates(_) | Verdict::Deadlock(_), Some(why)) => {
                assert!(why.contains("3 states"), "{why}")
            }
            other => panic!("{other:?}"),
        }
    }
}

mod contexts {
    use super::*;

    /// CPU 1 sees the first store and not the second: CPU 0, CPU 1, in two turns; the end of CPU 0 is a third.
    fn torn() -> Program {
        Program::new(&[
            |w| {
                w.x[0].store(1, SeqCst);
                w.x[1].store(1, SeqCst);
                demand(w.x[2].load(Relaxed) == 0, "CPU 1 saw one store alone");
            },
            |w| {
                if w.x[0].load(Relaxed) > w.x[1].load(Relaxed) {
                    w.x[2].store(1, SeqCst);
                }
            },
        ])
    }

    #[test]
    fn what_takes_three_turns_is_found_with_three_and_not_with_two() {
        for memory in MODELS {
            for options in [plain(memory), reduced(memory), Options { workers: 2, ..reduced(memory) }] {
                let bounded =
                    |contexts| run(&torn(), &Options { contexts: Some(contexts), ..options.clone() });
                for few in 1..3 {
                    let verdict = bounded(few).verdict;
                    let Verdict::Unproved(text) = &verdict else { panic!("{few}, {memory:?}: {verdict:?}") };
                    assert!(text.contains(&format!("at most {few} contexts")), "{text}");
                }
                let report = bounded(3);
                assert!(matches!(report.verdict, Verdict::Violates(_)), "{memory:?}: {:?}", report.verdict);
                let trace = report.trace.expect("a trace");
                let turns = trace.steps.chunk_by(|one, two| one.mov.cpu == two.mov.cpu).count();
                assert_eq!(turns, 3, "{memory:?}");
            }
        }
    }

    /// Ends of a program with at most so many turns.
    fn ends(program: &Program, contexts: Option<u16>, options: &Options<'_>) -> usize {
        let report = explore(program, &Options { contexts, ..options.clone() });
        assert_eq!(
            matches!(report.verdict, Verdict::Unproved(_)),
            contexts.is_some(),
            "{:?}",
            report.verdict
        );
        report.reached.expect("asked for").ends.len()
    }

    #[test]
    fn more_turns_reach_more_ends_and_enough_reach_all_but_it_is_never_said_to_hold() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.out[0].store(w.x[1].load(Relaxed), Relaxed);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                w.out[1].store(w.x[0].load(Relaxed), Relaxed);
            },
        ];
        let program = Program::new(&mains);
        for memory in MODELS {
            let all = ends(&program, None, &plain(memory));
            let counts: Vec<usize> = (1..8).map(|most| ends(&program, Some(most), &plain(memory))).collect();
            assert!(counts.is_sorted() && counts[0] == 0 && counts[1] == 2, "{memory:?}: {counts:?}");
            assert_eq!(counts[6], all, "{memory:?}");
            for (at, &count) in counts.iter().enumerate() {
                let less = ends(&program, Some(at as u16 + 1), &reduced(memory));
                assert!(
                    less >= count && less <= all,
                    "{memory:?}, {} turns: {less}, unreduced {count}",
                    at + 1
                );
            }
        }
    }

    #[test]
    fn a_cpu_that_may_not_move_any_more_is_not_blocked_but_a_deadlock_is_one() {
        let waits =
            Program::new(&[|w| wait_until(|| w.x[0].load(Acquire) == 1), |w| w.x[0].store(1, SeqCst)]);
        let stuck = Program::new(&[|w| wait_until(|| w.x[0].load(Acquire) == 1), |_| {}]);
        for options in [plain(Memory::Tso), reduced(Memory::Tso)] {
            let bounded =
                |program, most| run(program, &Options { contexts: Some(most), ..options.clone() }).verdict;
            assert!(matches!(bounded(&waits, 1), Verdict::Unproved(_)));
            assert!(matches!(bounded(&stuck, 2), Verdict::Deadlock(_)));
        }
    }

    #[test]
    fn numbers_that_cannot_be_counted_are_refused() {
        for contexts in [0, 4096] {
            let report = run(&torn(), &Options { contexts: Some(contexts), ..plain(Memory::Sc) });
            let Verdict::Stopped(why) = report.verdict else { panic!("{:?}", report.verdict) };
            assert!(why.contains("1 to 4095"), "{why}");
        }
    }
}

mod random {
    use super::*;

    fn sample(program: &Program, memory: Memory, runs: u64, seed: u64) -> Report {
        run(program, &Options { random: Some(Sampling { runs, seed }), shortest: false, ..reduced(memory) })
    }

    /// Dekker's first idea, which store buffers break.
    fn room(fenced: bool) -> Program {
        let unfenced: [fn(&Words); 2] = [|w| enter(w, 0, false), |w| enter(w, 1, false)];
        let mended: [fn(&Words); 2] = [|w| enter(w, 0, true), |w| enter(w, 1, true)];
        Program::new(if fenced { &mended } else { &unfenced })
    }

    fn enter(w: &Words, me: usize, fenced: bool) {
        w.x[me].store(1, Relaxed);
        if fenced {
            fence(SeqCst);
        }
        if w.x[1 - me].load(Relaxed) == 0 {
            demand(w.x[2].fetch_add(1, Relaxed) == 0, "both are inside");
        }
    }

    #[test]
    fn a_bug_is_found_by_the_same_execution_for_the_same_seed_and_it_can_be_run_again() {
        let moves = |report: &Report| -> Vec<_> {
            report.trace.as_ref().expect("a trace").steps.iter().map(|step| step.mov).collect()
        };
        for seed in 1..20 {
            let (one, two) =
                (sample(&room(false), Memory::Pso, 500, seed), sample(&room(false), Memory::Pso, 500, seed));
            assert!(matches!(one.verdict, Verdict::Violates(_)), "seed {seed}: {:?}", one.verdict);
            assert_eq!(moves(&one), moves(&two));
            let again = replay(&room(false), &plain(Memory::Pso), &moves(&one)).expect("it can be run");
            assert!(again.outcome.contains("both are inside"));
        }
    }

    #[test]
    fn what_finds_nothing_never_holds_and_names_its_seed() {
        for memory in MODELS {
            let Verdict::Unproved(text) = sample(&room(true), memory, 300, 7).verdict else {
                panic!("{memory:?}")
            };
            assert!(
                text.contains("300 random executions (seed 7)") && text.contains("0 were cut off"),
                "{text}"
            );
        }
    }

    /// A bug of depth 3 with interrupts: CPU 1's handler must come between its own two steps, after CPU 0's store.
    #[test]
    fn interrupts_come_at_random_too() {
        let mut program = Program::new(&[
            |w| w.x[0].store(1, SeqCst),
            |w| {
                w.x[1].store(1, SeqCst);
                w.x[1].store(2, SeqCst);
                demand(w.x[2].load(Relaxed) != 1, "it came in between");
            },
        ])
        .with_irq(|w, _, _| {
            if w.x[0].load(Relaxed) == 1 {
                w.x[2].store(w.x[1].load(Relaxed), SeqCst);
            }
        });
        program.pending = vec![0, 1];
        assert!(matches!(sample(&program, Memory::Tso, 2_000, 1).verdict, Verdict::Violates(_)));
    }

    #[test]
    fn a_spinning_cpu_lets_the_others_go_on_and_a_deadlock_is_found() {
        let spins = Program::new(&[
            |w| retry(|| (w.x[0].load(Acquire) == 1).then_some(())),
            |w| w.x[0].store(1, Release),
        ]);
        let Verdict::Unproved(text) = sample(&spins, Memory::Tso, 200, 3).verdict else { panic!("it holds") };
        assert!(text.contains("0 were cut off"), "{text}");
        let stuck = Program::new(&[|w| wait_until(|| w.x[0].load(Acquire) == 1), |_| {}]);
        assert!(matches!(sample(&stuck, Memory::Tso, 1, 1).verdict, Verdict::Deadlock(_)));
    }

    #[test]
    fn all_findings_of_random_executions_are_told_with_their_shortest() {
        let program = Program::new(&[|_| match choose(4) {
            0 => panic!("one"),
            1 => panic!("two"),
            _ => {}
        }]);
        let random = Some(Sampling { runs: 100, seed: 1 });
        let report = run(&program, &Options { random, all_findings: true, ..reduced(Memory::Tso) });
        let steps =
            report.findings.iter().map(|finding| finding.trace.as_ref().map(|trace| trace.steps.len()));
        assert_eq!(steps.collect::<Vec<_>>(), [Some(1), Some(1)]);
    }

    #[test]
    fn a_run_that_is_stopped_says_so_and_two_ways_to_visit_a_part_are_refused() {
        let stop = AtomicBool::new(true);
        let random = Some(Sampling { runs: 1_000_000, seed: 1 });
        let options = Options { random, stop: Some(&stop), ..reduced(Memory::Tso) };
        let Verdict::Stopped(why) = run(&room(true), &options).verdict else { panic!("stopped") };
        assert!(why.contains("stopped from outside, after 1 of 1000000"), "{why}");
        let both = Options { random, contexts: Some(2), ..reduced(Memory::Tso) };
        let Verdict::Stopped(why) = run(&room(true), &both).verdict else { panic!("refused") };
        assert!(why.contains("either"), "{why}");
    }
}
