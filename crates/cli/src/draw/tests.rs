use super::columns::{Look, draw};
use super::headings;
use crate::testing::trace;
use anstream::adapter::strip_str;

fn drawn(cpus: usize, width: usize, state: bool) -> String {
    let drawing = draw(
        &trace("frame 1 is reused while CPU 1 can reach it"),
        cpus,
        Look { state, ..Look::in_width(width) },
    );
    strip_str(&drawing).to_string()
}

#[test]
fn each_cpu_has_its_column_and_the_violation_ends_it() {
    insta::assert_snapshot!(drawn(2, 80, false));
}

#[test]
fn state_is_shown_at_each_step_that_changes_it() {
    insta::assert_snapshot!(drawn(2, 80, true));
}

#[test]
fn too_many_cpus_for_the_width_become_one_list() {
    insta::assert_snapshot!(drawn(4, 60, false));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    use unicode_width::UnicodeWidthStr as _;
    for (cpus, width) in [(2, 40), (2, 55), (2, 80), (3, 80), (4, 120), (8, 200), (1, 40)] {
        for line in drawn(cpus, width, true).lines() {
            assert!(line.width() <= width, "{cpus} CPUs in {width}: {line:?}");
        }
    }
}

#[test]
fn no_line_ends_in_a_space() {
    for (cpus, width) in [(2, 80), (3, 80), (4, 60)] {
        assert!(drawn(cpus, width, true).lines().all(|line| !line.ends_with(' ')), "{cpus} CPUs in {width}");
    }
}

#[test]
fn an_execution_that_ends_well_shows_no_violation() {
    let drawing = draw(&trace(""), 2, Look::in_width(80));
    assert!(!drawing.contains('✗'));
}

#[test]
fn without_colours_there_is_text_alone() {
    let look = Look { colours: false, ..Look::in_width(80) };
    let plain = draw(&trace("frame 1 is reused while CPU 1 can reach it"), 2, look);
    assert_eq!(plain, drawn(2, 80, false));
}

#[test]
fn a_handler_without_a_heading_does_not_repeat_the_one_around_it() {
    let mut trace = trace("");
    for (step, note) in trace.steps.iter_mut().zip(["borrow", "", "borrow"]) {
        (step.mov.cpu, step.note) = (0, note);
    }
    assert_eq!(headings(&trace, 1).collect::<Vec<_>>(), [Some("borrow"), None, None]);
}
