//! Tables of programs with all their outcomes, computed by others (`tests/tables/README.md`): the explorer must find
//! exactly those, with reductions and without.

use crate::common::ir::{MODELS, Outcome, Test, parse};
use crate::common::{plain, reduced};
use flate2::read::GzDecoder;
use shootdown_explore::{Memory, Options};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tables")
}

fn read(path: &Path) -> Vec<Test> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    let mut text = String::new();
    let packed = path.extension().is_some_and(|ending| ending == "gz");
    let result = if packed {
        GzDecoder::new(&bytes[..]).read_to_string(&mut text)
    } else {
        bytes.as_slice().read_to_string(&mut text)
    };
    result.unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()));
    parse(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"))
}

/// Compares the explorer with what `test` expects under each model, and reduced runs with full ones under all.
fn compare(test: &Test, workers: usize) {
    for (name, memory) in MODELS {
        let full = test.outcomes(&plain(memory), true);
        if let Some(expected) = test.expected.get(name) {
            assert_same(test, name, &full, expected);
        }
        let kept = test.outcomes(&plain(memory), false);
        let less = test.outcomes(&Options { workers, ..reduced(memory) }, false);
        assert_same(test, &format!("{name}, reduced, {workers} workers"), &less, &kept);
    }
}

fn assert_same(test: &Test, run: &str, found: &BTreeSet<Outcome>, expected: &BTreeSet<Outcome>) {
    let list = |one: &BTreeSet<Outcome>, two: &BTreeSet<Outcome>| {
        one.difference(two).map(Outcome::to_string).collect::<Vec<_>>()
    };
    let (missing, extra) = (list(expected, found), list(found, expected));
    assert!(
        missing.is_empty() && extra.is_empty(),
        "test {} under {run}: missing {missing:?}, not expected {extra:?}",
        test.name
    );
}

/// Compares all of a table, every eighth program with two workers; returns how many programs and expectations it has.
fn compare_all(tests: &[Test]) -> (usize, usize) {
    for (at, test) in tests.iter().enumerate() {
        compare(test, if at % 8 == 0 { 2 } else { 1 });
    }
    (tests.len(), tests.iter().map(|test| test.expected.len()).sum())
}

#[test]
fn tso_and_sc_have_the_outcomes_of_herd() {
    assert_eq!(compare_all(&read(&folder().join("tso-sc.ex.gz"))), (760, 1520));
}

#[test]
fn pso_has_the_outcomes_of_herd() {
    assert_eq!(compare_all(&read(&folder().join("pso.ex.gz"))), (439, 439));
}

#[test]
fn every_other_table_in_the_folder_and_the_one_that_the_environment_names_is_kept_to() {
    let listed =
        std::fs::read_dir(folder()).expect("the tables").map(|entry| entry.expect("an entry").path());
    let is_table = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        [".ex", ".ir"].iter().any(|ending| name.ends_with(ending))
    };
    let known = ["tso-sc.ex.gz", "pso.ex.gz"].map(|name| folder().join(name));
    let mut tables: Vec<PathBuf> = listed.filter(|path| is_table(path) && !known.contains(path)).collect();
    tables.extend(std::env::var_os("TABLE").map(PathBuf::from));
    for table in tables {
        let (programs, expectations) = compare_all(&read(&table));
        assert!(programs > 0, "{} has no program", table.display());
        println!("{}: {programs} programs, {expectations} sets of outcomes", table.display());
    }
}

/// The outcomes of `hand.ir`, worked out by hand.
mod by_hand {
    use super::*;

    /// What OBS makes of two answers.
    fn two(first: u64, second: u64) -> u64 {
        8 * (first + 1) + second + 1
    }

    fn check(name: &str, expected: impl Fn(Memory) -> Vec<Vec<u64>>) {
        let tests = read(&folder().join("hand.ir"));
        let test = tests.iter().find(|test| test.name == name).expect("in the table");
        for (model, memory) in MODELS {
            let memories = expected(memory).into_iter();
            let expected: BTreeSet<_> = memories.map(|memory| Outcome { stuck: false, memory }).collect();
            assert_same(test, model, &test.outcomes(&plain(memory), true), &expected);
            assert_same(test, model, &test.outcomes(&reduced(memory), true), &expected);
        }
    }

    /// CPU 0 stores word 0, marks its buffer by a release fence, and ends; its handler, which comes once and at any
    /// time, reads word 0 as `a` and stores word 1. CPU 1 reads word 1, then word 0.
    ///
    /// `a` = 0: the handler ran before the store, so word 1 is stored first and CPU 1 may see anything. `a` = 1: word 0
    /// is stored first. FIFOs keep it first, so CPU 1 cannot see word 1 alone. Under PSO nothing orders the two where
    /// the handler comes between the store and the marker: CPU 1 may see anything again.
    #[test]
    fn mark_vs_handler() {
        check("mark_vs_handler", |memory| {
            let mut all = Vec::new();
            for (a, one, zero) in [0, 1].iter().flat_map(|&a| [(a, 0, 0), (a, 0, 1), (a, 1, 0), (a, 1, 1)]) {
                if (a, one, zero) != (1, 1, 0) || memory == Memory::Pso {
                    all.push(vec![1, 1, 0, two(one, zero), a + 1]);
                }
            }
            all
        });
    }

    /// CPU 0 stores word 0, fences with release, and swaps word 1, relaxed, for an answer of 0. The swap may not reach
    /// memory before word 0 in any model: SC and TSO keep the order of stores, and under PSO a read-modify-write waits
    /// for a marker in the buffer. So CPU 1, which reads word 1 and then word 0, never sees word 1 alone.
    #[test]
    fn rmw_after_release_fence() {
        check("rmw_after_release_fence", |_| {
            [(0, 0), (0, 1), (1, 1)].map(|(one, zero)| vec![1, 1, 1, two(one, zero)]).to_vec()
        });
    }

    /// CPU 0 stores word 0, reads word 2, which its handler stores, as `a`, and reads word 1 as `b`. CPU 1 stores word
    /// 1, fences, and reads word 0 as `c`.
    ///
    /// SC: one of the two stores is first, so `b` and `c` are not both 0; `a` depends on neither, since the handler may
    /// come anywhere before or behind. Buffers: `b` and `c` may both be 0. Under TSO the handler's return empties the
    /// buffer; but a handler that came before the store of word 0 gives `a` = 1 too, and empties nothing.
    #[test]
    fn iret_drains() {
        check("iret_drains", |memory| {
            let mut all = Vec::new();
            for (a, b, c) in [0, 1].iter().flat_map(|&a| [(a, 0, 0), (a, 0, 1), (a, 1, 0), (a, 1, 1)]) {
                if (b, c) != (0, 0) || memory != Memory::Sc {
                    all.push(vec![1, 1, 1, two(a, b), c + 1]);
                }
            }
            all
        });
    }
}

mod parser {
    use super::*;

    #[test]
    fn the_whole_format_is_read() {
        let text = "# a comment\n\ntest all 2 3\ninit 1 7\nmain 0\nL 0\nL 1 acq\nS 0 1 rel\nX 0 1 ar\nA 0 1 acq\nC 0 1 2 sc\n\
            I 0 1 rlx\nF sc\nSAVE\nRESTORE\nON\nRAISE 1 3\nWAIT 0 2\nSPIN 0 2\nCH 3\nSKIP\nOBS 2 rlx\nhandler 3\nS 0 2 rlx\n\
            pending 1 8\nnmi 8\nexpect tso done 1,2,3\nexpect tso stuck 1,2,3\nend\n";
        let tests = parse("t", text).expect("a table");
        let test = &tests[0];
        assert_eq!((test.mains[0].len(), test.mains[1].len(), test.handlers[&3].len()), (16, 0, 1));
        assert_eq!(
            (test.initial.as_slice(), test.pending.as_slice()),
            ([0, 7, 0].as_slice(), [0, 8].as_slice())
        );
        assert_eq!((test.non_maskable, test.expected["tso"].len()), (8, 2));
    }

    #[test]
    fn what_is_wrong_is_told_with_file_line_and_text() {
        let head = "test a 2 2\nmain 0\n";
        for (text, line, said) in [
            ("L 0\n", 1, "expected `test"),
            ("test a 0 2\n", 1, "1 to 8 CPUs"),
            ("test a 2 2\nL 0\n", 2, "before `main CPU`"),
            (&*format!("{head}main 0\n"), 3, "twice"),
            (&*format!("{head}main 2\n"), 3, "CPU 2: there are 0 to 1"),
            (&*format!("{head}L 2\n"), 3, "word 2: there are 0 to 1"),
            (&*format!("{head}L 0 rel\n"), 3, "order \"rel\" where one of rlx, acq, sc may stand"),
            (&*format!("{head}S 0 1 acq\n"), 3, "order \"acq\""),
            (&*format!("{head}S 0 -1 rlx\n"), 3, "\"-1\" is no number"),
            (&*format!("{head}S 0 1\n"), 3, "no such step"),
            (&*format!("{head}CH 0\n"), 3, "nothing to pick from"),
            (&*format!("{head}RAISE 0 1\nend\n"), 4, "line 1 may come and has no handler"),
            (&*format!("{head}pending 0 2\nend\n"), 4, "line 1 may come and has no handler"),
            (&*format!("{head}expect rc11 done 0,0\n"), 3, "there are sc, tso, pso"),
            (&*format!("{head}expect tso dead 0,0\n"), 3, "done or stuck"),
            (&*format!("{head}expect tso done 0\n"), 3, "1 values for 2 words"),
            (&*format!("{head}test b 2 2\n"), 3, "test a has no `end`"),
            (head, 2, "no `end` of test a"),
        ] {
            let refusal = parse("t.ex", text).expect_err(text);
            assert!(refusal.starts_with(&format!("t.ex:{line}: ")) && refusal.contains(said), "{refusal}");
        }
    }
}
