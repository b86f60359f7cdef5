//! A model's file may be called as one of the kit's, and is told apart from it by its path.

#[path = "own_lock/lock.rs"]
mod lock;

use lock::SKETCH;
use shootdown_explore::{Memory, Options};
use shootdown_model::Variant;

#[test]
fn the_orderings_of_a_file_called_as_one_of_the_kit_s_are_taken_out_and_the_kit_s_are_not() {
    let names: Vec<String> = SKETCH.mutants().into_iter().map(|mutant| mutant.name).collect();
    for own in
        ["lock.rs: interrupt 0", "lock.rs: wait", "lock.rs: Release of a store", "lock.rs: Acquire of a load"]
    {
        assert!(names.iter().any(|name| name == own), "{own}: {names:?}");
    }
    let kit: Vec<&String> = names.iter().filter(|name| name.starts_with("model/kit/lock.rs: ")).collect();
    assert!(kit.iter().all(|name| !name.contains(" of a")), "{kit:?}");
}

#[test]
fn a_line_that_no_protocol_reaches_is_named() {
    let checked = SKETCH.check(Variant::Fixed, &Options { memory: Memory::Pso, ..Options::default() });
    assert_eq!(checked.objections, [""; 0]);
    let text = SKETCH.code[0].1;
    let line =
        text.lines().position(|line| line.contains("Shipped => hw::flush_all()")).expect("the line") + 1;
    assert_eq!(SKETCH.unreached(&checked.report), [format!("lock.rs:{line}")]);
}
