//! Damage to a line: it is refused by its number, or costs only what stood in the line.

use super::read;
use super::story::{DIALECTS, What, story};
use proptest::prelude::*;
use shootdown_bench::trace::ImportError;

/// A change to a line.
#[derive(Clone, Debug)]
struct Damage {
    from: usize,
    length: usize,
    by: Vec<u8>,
}

fn damage() -> impl Strategy<Value = Damage> {
    let words: Vec<&str> = vec![
        "tlb_flush:",
        "sched_switch:",
        "pages:",
        "reason:",
        "(4)",
        "next_pid=",
        "18446744073709551616",
        "-1",
        "[001]",
        "\0",
        "\u{fffd}",
        "#",
        "CPU:1 [LOST 1 EVENTS]",
        " ==> ",
        "sys_munmap(",
        "PERF_RECORD_LOST lost 1",
        "9",
        " ",
    ];
    let by = prop_oneof![
        Just(Vec::new()),
        prop::sample::select(words).prop_map(|word| word.as_bytes().to_vec()),
        prop::collection::vec(prop_oneof![0_u8..10, 11_u8..=255], 0..6),
    ];
    (0_usize..200, 0_usize..30, by).prop_map(|(from, length, by)| Damage { from, length, by })
}

impl Damage {
    fn apply(&self, line: &mut Vec<u8>) {
        let end = line.len() - 1;
        let from = self.from.min(end);
        line.splice(from..(from + self.length).min(end), self.by.iter().copied());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_damaged_line_is_refused_or_costs_itself(
        which in 0..DIALECTS.len(), at in 0_usize..30, damage in prop::collection::vec(damage(), 1..4)
    ) {
        let (dialect, story) = (&DIALECTS[which], story(b"a [2] b"));
        let mut lines = dialect.print(&story);
        let (whole, _) = read(&lines.concat()).expect(dialect.name);
        damage.iter().for_each(|damage| damage.apply(&mut lines[at]));
        match read(&lines.concat()) {
            Ok((found, _)) => {
                let mut missing = whole.flushes;
                for (missing, found) in missing.iter_mut().zip(found.flushes) {
                    prop_assert!(found <= *missing, "{}: {:?} and {:?}", dialect.name, found, whole.flushes);
                    *missing -= found;
                }
                let own = u64::from(matches!(story.steps[at].what, What::Flush(..)));
                prop_assert!(missing.iter().sum::<u64>() <= own, "{}: {:?}", dialect.name, missing);
            }
            // A line that claims a later time makes those after it lie behind; the first line also says how all are printed.
            Err(ImportError::Line { line, .. }) => {
                prop_assert!(line > at as u64, "{}: line {}", dialect.name, line);
                prop_assert!(line <= at as u64 + 3 || at == 0, "{}: line {}", dialect.name, line);
            }
            Err(error) => prop_assert!(at == 0, "{}: {}", dialect.name, error),
        }
    }

    #[test]
    fn bytes_that_are_no_recording_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..4_000)) {
        prop_assert!(read(&bytes).is_err());
    }
}
