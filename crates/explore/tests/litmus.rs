//! Litmus tests: the full set of outcomes under each memory model, allowed and forbidden ones.
//!
//! Sources. SC: by interleaving. TSO: S. Owens, S. Sarkar, P. Sewell, "A better x86 memory model: x86-TSO" (TPHOLs
//! 2009) and P. Sewell et al., "x86-TSO: a rigorous and usable programmer's model for x86 multiprocessors" (CACM
//! 53(7), 2010): SB and R are allowed; MP, LB, S, 2+2W, WRC, IRIW are forbidden; MFENCE and LOCKed instructions
//! forbid SB. PSO: The SPARC Architecture Manual, Version 9, appendix D (formal memory models): stores to different
//! locations may also pass each other, so MP, S and 2+2W are allowed unless a STBAR (here: a release store or fence)
//! stands between them. Our PSO-like model never reorders loads with each other, nor a load with a later store:
//! LB stays forbidden, WRC and IRIW too (stores reach all CPUs at once), where ARM, RISC-V and POWER may allow some.

use crate::common::{Program, Words, plain, reduced};
use shootdown_explore::sync::fence;
use shootdown_explore::{Memory, Verdict, explore};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};

const SC: [Memory; 1] = [Memory::Sc];
const TSO: [Memory; 1] = [Memory::Tso];
const PSO: [Memory; 1] = [Memory::Pso];
const SC_TSO: [Memory; 2] = [Memory::Sc, Memory::Tso];
const BUFFERED: [Memory; 2] = [Memory::Tso, Memory::Pso];
const ALL: [Memory; 3] = [Memory::Sc, Memory::Tso, Memory::Pso];

/// Checks that exactly `expected` comes out; each outcome is what `show` makes of final `x` and `out`.
fn check<const N: usize>(
    models: &[Memory],
    mains: &[fn(&Words)],
    show: fn(x: &[u64], out: &[u64]) -> [u64; N],
    expected: &[[u64; N]],
) {
    for &memory in models {
        for options in [plain(memory), reduced(memory)] {
            let program = Program::new(mains);
            assert_eq!(explore(&program, &options).verdict, Verdict::Holds);
            let seen: BTreeSet<[u64; N]> =
                program.seen().iter().map(|words| show(&words[..4], &words[4..])).collect();
            assert_eq!(seen, expected.iter().copied().collect(), "{memory:?}");
        }
    }
}

fn out<const N: usize>(_: &[u64], out: &[u64]) -> [u64; N] {
    std::array::from_fn(|index| out[index])
}

fn memory_then_out(x: &[u64], out: &[u64]) -> [u64; 2] {
    [x[1], out[0]]
}

/// All outcomes of `N` bits.
fn all<const N: usize>() -> Vec<[u64; N]> {
    (0..1_u64 << N).map(|bits| std::array::from_fn(|index| bits >> (N - 1 - index) & 1)).collect()
}

fn all_but<const N: usize>(forbidden: &[[u64; N]]) -> Vec<[u64; N]> {
    all().into_iter().filter(|outcome| !forbidden.contains(outcome)).collect()
}

/// Reads `x[index]` into `out[to]`.
fn read(w: &Words, index: usize, to: usize) {
    w.out[to].store(w.x[index].load(Relaxed), Relaxed);
}

/// A load whose result is kept until all of the CPU's loads are done: storing it in between must not matter, but a
/// litmus test should not have to argue that.
fn read_both(w: &Words, first: (usize, usize), second: (usize, usize)) {
    let (one, two) = (w.x[first.0].load(Relaxed), w.x[second.0].load(Relaxed));
    w.out[first.1].store(one, Relaxed);
    w.out[second.1].store(two, Relaxed);
}

mod sb {
    use super::*;

    fn plain_stores() -> [fn(&Words); 2] {
        [
            |w| {
                w.x[0].store(1, Relaxed);
                read(w, 1, 0);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                read(w, 0, 1);
            },
        ]
    }

    #[test]
    fn both_may_read_zero_with_store_buffers() {
        check(&SC, &plain_stores(), out, &all_but(&[[0, 0]]));
        check(&BUFFERED, &plain_stores(), out, &all::<2>());
    }

    #[test]
    fn release_and_acquire_do_not_help() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Release);
                fence(AcqRel);
                w.out[0].store(w.x[1].load(Acquire), Relaxed);
            },
            |w| {
                w.x[1].store(1, Release);
                fence(AcqRel);
                w.out[1].store(w.x[0].load(Acquire), Relaxed);
            },
        ];
        check(&BUFFERED, &mains, out, &all::<2>());
    }

    #[test]
    fn full_fences_forbid_it_and_one_is_not_enough() {
        let fenced = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(SeqCst);
            read(w, 1, 0);
        };
        let other = |w: &Words| {
            w.x[1].store(1, Relaxed);
            fence(SeqCst);
            read(w, 0, 1);
        };
        check(&ALL, &[fenced, other], out, &all_but(&[[0, 0]]));
        check(&BUFFERED, &[fenced, plain_stores()[1]], out, &all::<2>());
    }

    #[test]
    fn an_exchange_instead_of_the_store_forbids_it() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].swap(1, SeqCst);
                read(w, 1, 0);
            },
            |w| {
                w.x[1].swap(1, SeqCst);
                read(w, 0, 1);
            },
        ];
        check(&ALL, &mains, out, &all_but(&[[0, 0]]));
    }

    #[test]
    fn a_sequentially_consistent_store_forbids_it() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, SeqCst);
                w.out[0].store(w.x[1].load(SeqCst), Relaxed);
            },
            |w| {
                w.x[1].store(1, SeqCst);
                w.out[1].store(w.x[0].load(SeqCst), Relaxed);
            },
        ];
        check(&ALL, &mains, out, &all_but(&[[0, 0]]));
    }

    #[test]
    fn an_unrelated_exchange_is_a_fence_under_tso() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[2].fetch_add(1, Relaxed);
                read(w, 1, 0);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                w.x[3].fetch_add(1, Relaxed);
                read(w, 0, 1);
            },
        ];
        check(&SC_TSO, &mains, out, &all_but(&[[0, 0]]));
        check(&PSO, &mains, out, &all::<2>());
    }

    #[test]
    fn a_cpu_sees_its_own_stores_first() {
        // Intra-processor forwarding (iwp2.4 in the x86-TSO papers): each CPU reads its own store before the other can.
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                read_both(w, (0, 0), (1, 1));
            },
            |w| {
                w.x[1].store(1, Relaxed);
                read_both(w, (1, 2), (0, 3));
            },
        ];
        let expected = [[1, 0, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1]];
        check(&SC, &mains, out, &expected);
        check(&BUFFERED, &mains, out, &[&expected[..], &[[1, 0, 1, 0]]].concat());
    }
}

mod mp {
    use super::*;

    fn reader(w: &Words) {
        read_both(w, (1, 0), (0, 1));
    }

    #[test]
    fn the_flag_may_overtake_the_message_under_pso_only() {
        let writer = |w: &Words| {
            w.x[0].store(1, Relaxed);
            w.x[1].store(1, Relaxed);
        };
        check(&SC_TSO, &[writer, reader], out, &all_but(&[[1, 0]]));
        check(&PSO, &[writer, reader], out, &all::<2>());
    }

    #[test]
    fn a_release_store_keeps_it_behind() {
        let writer = |w: &Words| {
            w.x[0].store(1, Relaxed);
            w.x[1].store(1, Release);
        };
        check(&ALL, &[writer, reader], out, &all_but(&[[1, 0]]));
    }

    #[test]
    fn fences_keep_it_behind() {
        let release = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(Release);
            w.x[1].store(1, Relaxed);
        };
        let full = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(SeqCst);
            w.x[1].store(1, Relaxed);
        };
        let acquire = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(Acquire);
            w.x[1].store(1, Relaxed);
        };
        for writer in [release as fn(&Words), full] {
            check(&ALL, &[writer, reader], out, &all_but(&[[1, 0]]));
        }
        check(&PSO, &[acquire, reader], out, &all::<2>());
    }

    #[test]
    fn a_relaxed_exchange_after_a_release_fence_stays_behind() {
        let fenced = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(Release);
            w.x[1].swap(1, Relaxed);
        };
        let bare = |w: &Words| {
            w.x[0].store(1, Relaxed);
            w.x[1].swap(1, Relaxed);
        };
        let release = |w: &Words| {
            w.x[0].store(1, Relaxed);
            w.x[1].swap(1, Release);
        };
        check(&ALL, &[fenced, reader], out, &all_but(&[[1, 0]]));
        check(&ALL, &[release, reader], out, &all_but(&[[1, 0]]));
        check(&SC_TSO, &[bare, reader], out, &all_but(&[[1, 0]]));
        check(&PSO, &[bare, reader], out, &all::<2>());
    }

    #[test]
    fn stores_after_a_release_store_may_overtake_it() {
        let writer = |w: &Words| {
            w.x[0].store(1, Release);
            w.x[1].store(1, Relaxed);
        };
        check(&PSO, &[writer, reader], out, &all::<2>());
        check(&SC_TSO, &[writer, reader], out, &all_but(&[[1, 0]]));
    }
}

#[test]
fn lb_loads_are_not_delayed_in_any_of_our_models() {
    let mains: [fn(&Words); 2] = [
        |w| {
            let seen = w.x[0].load(Relaxed);
            w.x[1].store(1, Relaxed);
            w.out[0].store(seen, Relaxed);
        },
        |w| {
            let seen = w.x[1].load(Relaxed);
            w.x[0].store(1, Relaxed);
            w.out[1].store(seen, Relaxed);
        },
    ];
    check(&ALL, &mains, out, &all_but(&[[1, 1]]));
}

mod r {
    use super::*;

    fn writer(w: &Words) {
        w.x[0].store(1, Relaxed);
        w.x[1].store(1, Relaxed);
    }

    #[test]
    fn the_last_store_may_win_though_its_cpu_reads_zero() {
        let other = |w: &Words| {
            w.x[1].store(2, Relaxed);
            read(w, 0, 0);
        };
        let sc = [[1, 0], [1, 1], [2, 1]];
        check(&SC, &[writer, other], memory_then_out, &sc);
        check(&BUFFERED, &[writer, other], memory_then_out, &[&sc[..], &[[2, 0]]].concat());
    }

    #[test]
    fn full_fences_forbid_it() {
        let fenced = |w: &Words| {
            w.x[0].store(1, Relaxed);
            fence(SeqCst);
            w.x[1].store(1, Relaxed);
        };
        let other = |w: &Words| {
            w.x[1].store(2, Relaxed);
            fence(SeqCst);
            read(w, 0, 0);
        };
        let sc = [[1, 0], [1, 1], [2, 1]];
        check(&ALL, &[fenced, other], memory_then_out, &sc);
        check(&TSO, &[writer, other], memory_then_out, &sc);
        check(&PSO, &[writer, other], memory_then_out, &[&sc[..], &[[2, 0]]].concat());
    }
}

mod s {
    use super::*;

    /// Reads x1, then stores x0; the other stored 2 to x0 before its store to x1.
    fn other(w: &Words) {
        let seen = w.x[1].load(Relaxed);
        w.x[0].store(1, Relaxed);
        w.out[0].store(seen, Relaxed);
    }

    fn show(x: &[u64], out: &[u64]) -> [u64; 2] {
        [x[0], out[0]]
    }

    #[test]
    fn a_store_after_the_flag_was_seen_wins_unless_stores_are_reordered() {
        let writer = |w: &Words| {
            w.x[0].store(2, Relaxed);
            w.x[1].store(1, Relaxed);
        };
        let fenced = |w: &Words| {
            w.x[0].store(2, Relaxed);
            fence(Release);
            w.x[1].store(1, Relaxed);
        };
        let usual = [[1, 0], [2, 0], [1, 1]];
        check(&SC_TSO, &[writer, other], show, &usual);
        check(&PSO, &[writer, other], show, &[&usual[..], &[[2, 1]]].concat());
        check(&PSO, &[fenced, other], show, &usual);
    }
}

mod two_plus_two_w {
    use super::*;

    fn show(x: &[u64], _: &[u64]) -> [u64; 2] {
        [x[0], x[1]]
    }

    #[test]
    fn both_first_stores_may_win_under_pso_only() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(2, Relaxed);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                w.x[0].store(2, Relaxed);
            },
        ];
        let usual = [[1, 2], [2, 1], [2, 2]];
        check(&SC_TSO, &mains, show, &usual);
        check(&PSO, &mains, show, &[&usual[..], &[[1, 1]]].concat());
    }

    #[test]
    fn release_stores_forbid_it() {
        let mains: [fn(&Words); 2] = [
            |w| {
                w.x[0].store(1, Relaxed);
                w.x[1].store(2, Release);
            },
            |w| {
                w.x[1].store(1, Relaxed);
                w.x[0].store(2, Release);
            },
        ];
        check(&ALL, &mains, show, &[[1, 2], [2, 1], [2, 2]]);
    }
}

#[test]
fn iriw_all_cpus_agree_on_the_order_of_stores() {
    let mains: [fn(&Words); 4] = [
        |w| w.x[0].store(1, Relaxed),
        |w| w.x[1].store(1, Relaxed),
        |w| read_both(w, (0, 0), (1, 1)),
        |w| read_both(w, (1, 2), (0, 3)),
    ];
    check(&ALL, &mains, out, &all_but(&[[1, 0, 1, 0]]));
}

#[test]
fn wrc_what_one_cpu_has_seen_another_sees_after_it() {
    let mains: [fn(&Words); 3] = [
        |w| w.x[0].store(1, Relaxed),
        |w| {
            let seen = w.x[0].load(Relaxed);
            w.x[1].store(1, Relaxed);
            w.out[0].store(seen, Relaxed);
        },
        |w| read_both(w, (1, 1), (0, 2)),
    ];
    check(&ALL, &mains, out, &all_but(&[[1, 1, 0]]));
}

/// What comes out, for tests that ask for some outcomes only.
fn outcomes<const N: usize>(
    memory: Memory,
    mains: &[fn(&Words)],
    show: fn(x: &[u64], out: &[u64]) -> [u64; N],
) -> BTreeSet<[u64; N]> {
    let program = Program::new(mains);
    assert_eq!(explore(&program, &reduced(memory)).verdict, Verdict::Holds);
    program.seen().iter().map(|words| show(&words[..4], &words[4..])).collect()
}

#[test]
fn n6_a_cpu_reads_its_own_store_before_it_loses_to_an_earlier_one() {
    let mains: [fn(&Words); 2] = [
        |w| {
            w.x[0].store(1, Relaxed);
            read_both(w, (0, 0), (1, 1));
        },
        |w| {
            w.x[1].store(2, Relaxed);
            w.x[0].store(2, Relaxed);
        },
    ];
    for memory in ALL {
        let seen = outcomes(memory, &mains, |x, out| [out[0], out[1], x[0]]);
        assert_eq!(seen.contains(&[1, 0, 1]), memory != Memory::Sc, "{memory:?}");
    }
}

#[test]
fn n5_two_cpus_do_not_each_read_the_others_store_to_one_word() {
    let mains: [fn(&Words); 2] = [
        |w| {
            w.x[0].store(1, Relaxed);
            read(w, 0, 0);
        },
        |w| {
            w.x[0].store(2, Relaxed);
            read(w, 0, 1);
        },
    ];
    for memory in ALL {
        let seen = outcomes(memory, &mains, out);
        assert!(!seen.contains(&[2, 1]), "{memory:?}");
        assert!(seen.contains(&[1, 2]), "{memory:?}");
    }
}

#[test]
fn coherence_holds_in_all_models() {
    // CoRR: nobody sees one location's stores in the wrong order; CoWR: a CPU never reads past its own store.
    let mains: [fn(&Words); 2] = [
        |w| {
            w.x[0].store(1, Relaxed);
            w.x[0].store(2, Relaxed);
            read(w, 0, 0);
        },
        |w| {
            let (one, two) = (w.x[0].load(Relaxed), w.x[0].load(Relaxed));
            w.out[1].store(u64::from(one <= two), Relaxed);
        },
    ];
    check(&ALL, &mains, out, &[[2, 1]]);
}
