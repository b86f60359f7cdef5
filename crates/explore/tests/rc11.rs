//! Outcomes under weak memory against a table of right ones.
//!
//! `tables/rc11.gz` has 2,836 programs with all outcomes that RC11 allows, with the release sequences of C++20, computed by
//! herd7 7.57 and by an enumerator of its authors' own, which agree.

#[path = "common/rc11.rs"]
mod rc11;

use flate2::read::GzDecoder;
use std::io::Read;

#[test]
fn every_program_of_the_table_has_exactly_its_outcomes() {
    let mut text = String::new();
    GzDecoder::new(&include_bytes!("tables/rc11.gz")[..]).read_to_string(&mut text).unwrap();
    let table = rc11::table(&text);
    assert_eq!(table.len(), 2_836);
    let mut wrong = Vec::new();
    for expected in &table {
        for reduced in [false, true] {
            let seen = expected.litmus.outcomes(&rc11::weak(reduced));
            if seen != expected.outcomes {
                let missing: Vec<_> = expected.outcomes.difference(&seen).collect();
                let extra: Vec<_> = seen.difference(&expected.outcomes).collect();
                let name = &expected.litmus.name;
                wrong.push(format!("{name} (reduced: {reduced}): misses {missing:?}, invents {extra:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} runs differ:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}
