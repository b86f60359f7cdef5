//! Litmus tests of interrupts, non-maskable ones and returns: the full set of outcomes under each memory model, worked
//! out by hand from what the crate's documentation promises. Programs are in the format of the tables
//! (`tests/tables/README.md`).

use crate::common::ir::{MODELS, Outcome, parse};
use crate::common::{plain, reduced};
use shootdown_explore::Memory;
use std::collections::BTreeSet;

/// What OBS makes of answers.
fn obs(answers: &[u64]) -> u64 {
    answers.iter().fold(0, |seen, answer| 8 * seen + answer + 1)
}

/// Checks that exactly `expected` comes out of the program with these lines: whether it is stuck, and its last words,
/// as many as are given.
fn check<const N: usize>(lines: &str, expected: impl Fn(Memory) -> Vec<(bool, [u64; N])>) {
    let text = format!("test litmus {}\nend\n", lines.trim());
    let tests = parse("litmus", &text).unwrap_or_else(|error| panic!("{error}"));
    for (model, memory) in MODELS {
        let expected: BTreeSet<_> = expected(memory).into_iter().collect();
        for (run, options) in [("full", plain(memory)), ("reduced", reduced(memory))] {
            let last = |end: Outcome| {
                let words = end.memory[end.memory.len() - N..].try_into().expect("as many words");
                (end.stuck, words)
            };
            let found: BTreeSet<(bool, [u64; N])> =
                tests[0].outcomes(&options, true).into_iter().map(last).collect();
            assert_eq!(found, expected, "{model}, {run}:\n{lines}");
        }
    }
}

/// Programs that end, whatever the model.
fn done<const N: usize>(all: &[[u64; N]]) -> impl Fn(Memory) -> Vec<(bool, [u64; N])> {
    move |_| all.iter().map(|&words| (false, words)).collect()
}

/// All bits but those that `forbidden` refuses, each tuple through `show`.
fn bits<const N: usize, const M: usize>(
    forbidden: impl Fn([u64; N]) -> bool,
    show: impl Fn([u64; N]) -> [u64; M],
) -> Vec<(bool, [u64; M])> {
    let all = (0..1_u64 << N).map(|bits| std::array::from_fn(|at| bits >> (N - 1 - at) & 1));
    all.filter(|&bits| !forbidden(bits)).map(|bits| (false, show(bits))).collect()
}

mod buffers {
    use super::*;

    /// CPU 0 stores x, reads a flag that its handler sets as `a`, then y as `b`; the handler reads x as `h`; CPU 1
    /// stores y, fences, and reads x as `c`.
    ///
    /// `h` = 0: the handler came before the store, so its flag is seen. `h` = `a` = 1: it came after the store and had
    /// returned before y was read. On x86 its return emptied the buffer, so x was in memory by then; `b` = 0 means that
    /// CPU 1's store came later, and it saw x. Otherwise buffers allow `b` = `c` = 0, and SC does not.
    #[test]
    fn a_return_empties_the_buffer_under_tso_only() {
        let program = "2 6\nmain 0\nS 0 1 rlx\nL 2\nL 1\nOBS 3 rlx\nhandler 0\nL 0\nOBS 4 rlx\nS 2 1 rlx\npending 0 1\n\
            main 1\nS 1 1 rlx\nF sc\nL 0\nOBS 5 rlx";
        check(program, |memory| {
            let forbidden = |[h, a, b, c]: [u64; 4]| {
                let both_late = (b, c) == (0, 0);
                (h, a) == (0, 0)
                    || both_late && memory == Memory::Sc
                    || both_late && memory == Memory::Tso && (h, a) == (1, 1)
            };
            bits(forbidden, |[h, a, b, c]| [obs(&[a, b]), obs(&[h]), obs(&[c])])
        });
    }

    /// The handler of CPU 0 reads x, which CPU 0 stores, as `h`, and y as `b`; CPU 1 stores y, fences, and reads x as
    /// `c`. A handler that comes after the store (`h` = 1) may find it in the buffer still: store buffering between
    /// main code and handler, which only SC forbids.
    #[test]
    fn entering_a_handler_empties_nothing() {
        let program = "2 4\nmain 0\nS 0 1 rlx\nhandler 0\nL 0\nL 1\nOBS 2 rlx\npending 0 1\nmain 1\nS 1 1 rlx\nF sc\nL 0\nOBS 3 rlx";
        check(program, |memory| {
            let forbidden = |[h, b, c]: [u64; 3]| memory == Memory::Sc && (h, b, c) == (1, 0, 0);
            bits(forbidden, |[h, b, c]| [obs(&[h, b]), obs(&[c])])
        });
    }

    /// The same with a fence in the handler: it waits for the store of the code that it interrupted.
    #[test]
    fn a_fence_in_a_handler_waits_for_what_was_interrupted() {
        let program = "2 4\nmain 0\nS 0 1 rlx\nhandler 0\nL 0\nF sc\nL 1\nOBS 2 rlx\npending 0 1\nmain 1\nS 1 1 rlx\nF sc\nL 0\nOBS 3 rlx";
        check(program, |_| bits(|bits| bits == [1, 0, 0], |[h, b, c]| [obs(&[h, b]), obs(&[c])]));
    }

    /// The handler stores a flag with release; if it came after main code's store of x (`h` = 1), nobody sees the flag
    /// alone. If the store is relaxed, the flag may overtake x under PSO.
    #[test]
    fn a_release_store_in_a_handler_stays_behind_what_was_interrupted() {
        let program = |order: &str| {
            format!(
                "2 4\nmain 0\nS 0 1 rlx\nhandler 0\nL 0\nS 1 1 {order}\nOBS 2 rlx\npending 0 1\nmain 1\nL 1\nL 0\nOBS 3 rlx"
            )
        };
        let show = |[h, flag, x]: [u64; 3]| [obs(&[h]), obs(&[flag, x])];
        check(&program("rel"), |_| bits(|bits| bits == [1, 1, 0], show));
        check(&program("rlx"), |memory| bits(|bits| bits == [1, 1, 0] && memory != Memory::Pso, show));
    }

    /// The handler fences with release and swaps a flag, relaxed: the swap waits for what the marker keeps before it,
    /// the interrupted code's store of x too.
    #[test]
    fn a_relaxed_swap_in_a_handler_does_not_pass_its_release_fence() {
        let program = "2 4\nmain 0\nS 0 1 rlx\nhandler 0\nL 0\nF rel\nX 1 1 rlx\nOBS 2 rlx\npending 0 1\nmain 1\nL 1\nL 0\nOBS 3 rlx";
        check(program, |_| bits(|bits| bits == [1, 1, 0], |[h, flag, x]| [obs(&[h, 0]), obs(&[flag, x])]));
    }
}

mod masks {
    use super::*;

    const HANDLER: &str = "handler 0\nL 0\nOBS 1 rlx\npending 0 1";

    /// Between two stores an interrupt sees the first one, unless it is masked.
    #[test]
    fn masked_code_is_not_interrupted() {
        let all = [[obs(&[0])], [obs(&[1])], [obs(&[2])]];
        check(&format!("1 2\nmain 0\nS 0 1 rlx\nS 0 2 rlx\n{HANDLER}"), done(&all));
        let masked = format!("1 2\nmain 0\nSAVE\nS 0 1 rlx\nS 0 2 rlx\nRESTORE\n{HANDLER}");
        check(&masked, done(&[all[0], all[2]]));
    }

    /// Restoring inside masked code leaves interrupts off, since they were; turning them on lets the interrupt in.
    #[test]
    fn restoring_restores_what_was_and_on_is_on() {
        let program =
            |on: &str| format!("1 2\nmain 0\nSAVE\nSAVE\nS 0 1 rlx\n{on}\nS 0 2 rlx\nRESTORE\nON\n{HANDLER}");
        check(&program("RESTORE"), done(&[[obs(&[0])], [obs(&[2])]]));
        check(&program("ON"), done(&[[obs(&[0])], [obs(&[1])], [obs(&[2])]]));
    }

    /// An interrupt that is masked until the end never comes, and a program that is done may have it pending.
    #[test]
    fn an_interrupt_that_stays_masked_does_not_come() {
        check(&format!("1 2\nmain 0\nSAVE\nS 0 1 rlx\n{HANDLER}"), done(&[[0], [obs(&[0])]]));
    }

    #[test]
    fn a_non_maskable_interrupt_comes_in_masked_code() {
        let program = format!("1 2\nmain 0\nSAVE\nS 0 1 rlx\nS 0 2 rlx\nRESTORE\n{HANDLER}\nnmi 1");
        check(&program, done(&[[obs(&[0])], [obs(&[1])], [obs(&[2])]]));
    }
}

mod nesting {
    use super::*;

    /// Line 0 stores twice; line 1 sees the first store if it can interrupt that handler.
    fn program(begin: &str, nmi: u32) -> String {
        format!(
            "1 2\nhandler 0\n{begin}\nS 0 1 rlx\nS 0 2 rlx\nhandler 1\nL 0\nOBS 1 rlx\npending 0 3\nnmi {nmi}"
        )
    }

    #[test]
    fn handlers_run_masked_unless_they_turn_interrupts_on() {
        check(&program("SKIP", 0), done(&[[obs(&[0])], [obs(&[2])]]));
        check(&program("ON", 0), done(&[[obs(&[0])], [obs(&[1])], [obs(&[2])]]));
    }

    #[test]
    fn a_non_maskable_interrupt_waits_for_the_handler_of_another_alone() {
        check(&program("SKIP", 2), done(&[[obs(&[0])], [obs(&[1])], [obs(&[2])]]));
        check(&program("SKIP", 3), done(&[[obs(&[0])], [obs(&[2])]]));
    }

    /// Main code masks interrupts, sees whether the non-maskable handler has run (`a`), raises line 0 on itself and
    /// stores twice; the non-maskable handler turns interrupts on. If it had returned before the raise (`a` = 1), its
    /// flag is gone with it, and line 0 waits for the end of the masked code. If it comes later, line 0 comes inside of
    /// it, at any store.
    #[test]
    fn a_return_restores_the_flag_that_was_interrupted() {
        let program = "1 4\nmain 0\nSAVE\nL 1\nRAISE 0 0\nS 0 1 rlx\nS 0 2 rlx\nRESTORE\nOBS 2 rlx\nhandler 0\nL 0\nOBS 3 rlx\n\
            handler 1\nON\nS 1 1 rlx\npending 0 2\nnmi 2";
        let ends = [(1, 2), (0, 0), (0, 1), (0, 2)].map(|(a, seen)| [obs(&[a]), obs(&[seen])]);
        check(program, done(&ends));
    }
}

mod raising {
    use super::*;

    /// Raising an interrupt orders no memory access: its handler may come before the store before it has reached
    /// memory.
    #[test]
    fn an_interrupt_may_overtake_the_store_before_it() {
        let program =
            |fence: &str| format!("2 2\nmain 0\nS 0 1 rlx\n{fence}\nRAISE 1 0\nhandler 0\nL 0\nOBS 1 rlx");
        check(&program("SKIP"), |memory| {
            let late = (memory != Memory::Sc).then_some((false, [obs(&[0])]));
            late.into_iter().chain([(false, [obs(&[1])])]).collect()
        });
        check(&program("F sc"), done(&[[obs(&[1])]]));
    }

    /// The handler of line 1 raises line 0, whose handler stores what main code reads: on the same CPU, and on another
    /// one.
    #[test]
    fn what_a_handler_raises_may_come_before_a_load() {
        for (raises_on, comes_to) in [(1, 1), (0, 0), (0, 1)] {
            let program = format!(
                "2 2\nmain 0\nL 0\nOBS 1 rlx\nhandler 0\nS 0 1 rlx\nhandler 1\nRAISE {raises_on} 0\npending {comes_to} 2"
            );
            check(&program, done(&[[obs(&[0])], [obs(&[1])]]));
        }
    }

    /// Raised while it is pending, an interrupt comes once; raised after it was taken, twice. Others stay pending.
    #[test]
    fn a_pending_interrupt_is_merged_with_the_same_and_kept_beside_others() {
        check("2 1\nmain 0\nRAISE 1 0\nRAISE 1 0\nhandler 0\nA 0 1 rlx", done(&[[1], [2]]));
        check("2 1\nmain 0\nRAISE 1 0\nRAISE 1 1\nhandler 0\nA 0 1 rlx\nhandler 1\nA 0 2 rlx", done(&[[3]]));
    }
}

mod waits {
    use super::*;

    /// A CPU that waits takes interrupts, and is woken by what its own handler stores.
    #[test]
    fn a_waiter_is_woken_by_its_own_handler_unless_that_is_masked() {
        let program = |first: &str, nmi: u32| {
            format!("1 2\nmain 0\n{first}\nWAIT 0 1\nS 1 1 rlx\nhandler 0\nS 0 1 rlx\npending 0 1\nnmi {nmi}")
        };
        check(&program("SKIP", 0), done(&[[1, 1]]));
        check(&program("SAVE", 1), done(&[[1, 1]]));
        // The interrupt comes before it is masked, or never.
        check(&program("SAVE", 0), |_| vec![(false, [1, 1]), (true, [0, 0])]);
    }

    /// A spin that can never end has no outcome; one that may has those of the executions that end.
    #[test]
    fn a_spin_ends_with_what_its_own_handler_stores() {
        let program = |first: &str| {
            format!("1 2\nmain 0\n{first}\nSPIN 0 1\nS 1 1 rlx\nhandler 0\nS 0 1 rlx\npending 0 1")
        };
        check(&program("SKIP"), done(&[[1, 1]]));
        check(&program("SAVE"), done(&[[1, 1]]));
        check("1 1\nmain 0\nSPIN 0 1", |_| Vec::<(bool, [u64; 1])>::new());
    }

    /// The word that is waited for is set by another CPU before a second one is checked: a wait that has been passed is
    /// not gone back to.
    #[test]
    fn a_wait_that_ended_stays_ended() {
        let program = "2 3\nmain 0\nWAIT 0 1\nL 1\nOBS 2 rlx\nmain 1\nS 1 1 rlx\nS 0 1 rel\nS 0 0 rel";
        check(program, |_| vec![(false, [1, obs(&[1])]), (true, [1, 0])]);
    }
}
