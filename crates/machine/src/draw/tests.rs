use super::columns::{Look, draw};
use super::headings;
use shootdown_explore::{Action, Move, Step, Trace};
use unicode_width::UnicodeWidthStr as _;

/// Three moves on two CPUs: a step, an interrupt with its handler's first step, a drain.
fn trace(outcome: &str) -> Trace {
    let step = |cpu, action, text: &str, note, depth, state: &str| Step {
        mov: Move { cpu, action },
        text: text.to_owned(),
        note,
        place: None,
        depth,
        state: vec![state.to_owned()],
    };
    let (before, after) = ("cpu 1: may hold page 0", "cpu 1: holds page 0, stale");
    let steps = vec![
        step(0, Action::Run, "A.mask |= 0x2 (was 0x1)", "unmap page 0", 0, before),
        step(1, Action::Interrupt(0), "takes interrupt 0 <ipi>", "", 1, before),
        step(0, Action::Drain(0), "drains A.pte0 = 0", "unmap page 0", 0, after),
    ];
    Trace { steps, outcome: outcome.to_owned(), ..Trace::default() }
}

fn drawn(cpus: usize, width: usize, state: bool) -> String {
    let look = Look { state, colours: false, ..Look::in_width(width) };
    draw(&trace("frame 1 is reused while CPU 1 can reach it"), cpus, look)
}

#[test]
fn each_cpu_has_its_column_and_the_violation_ends_it() {
    let expected = "   CPU 0                                 CPU 1
   │ [unmap page 0]                      │
 1 │ A.mask |= 0x2 (was 0x1)             │
 2 │                                     │ ┊ takes interrupt 0 <ipi>
 3 │ drains A.pte0 = 0                   │
   ✗ frame 1 is reused while CPU 1 can reach it
   The machine at the end:
     cpu 1: holds page 0, stale
";
    assert_eq!(drawn(2, 80, false), expected);
}

#[test]
fn state_is_shown_at_each_step_that_changes_it() {
    let expected = "   CPU 0                                 CPU 1
   │ [unmap page 0]                      │
 1 │ A.mask |= 0x2 (was 0x1)             │
   cpu 1: may hold page 0
 2 │                                     │ ┊ takes interrupt 0 <ipi>
 3 │ drains A.pte0 = 0                   │
   cpu 1: holds page 0, stale
   ✗ frame 1 is reused while CPU 1 can reach it
   The machine at the end:
     cpu 1: holds page 0, stale
";
    assert_eq!(drawn(2, 80, true), expected);
}

#[test]
fn too_many_cpus_for_the_width_become_one_list() {
    let expected = "   All CPUs
   │ cpu 0: [unmap page 0]
 1 │ cpu 0: A.mask |= 0x2 (was 0x1)
 2 │ cpu 1: ┊ takes interrupt 0 <ipi>
 3 │ cpu 0: drains A.pte0 = 0
   ✗ frame 1 is reused while CPU 1 can reach it
   The machine at the end:
     cpu 1: holds page 0, stale
";
    assert_eq!(drawn(4, 60, false), expected);
}

#[test]
fn no_line_is_wider_than_the_terminal() {
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
fn colours_are_all_that_a_terminal_has_more() {
    let outcome = "frame 1 is reused while CPU 1 can reach it";
    let coloured = draw(&trace(outcome), 2, Look::in_width(80));
    let parts = coloured.split('\u{1b}').map(|part| part.strip_prefix('[').map_or(part, after_escape));
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(parts.collect::<String>(), drawn(2, 80, false));
}

/// What stands behind the `m` that ends a colour.
fn after_escape(part: &str) -> &str {
    part.split_once('m').map_or(part, |(_, text)| text)
}

#[test]
fn a_handler_without_a_heading_does_not_repeat_the_one_around_it() {
    let mut trace = trace("");
    for (step, note) in trace.steps.iter_mut().zip(["borrow", "", "borrow"]) {
        (step.mov.cpu, step.note) = (0, note);
    }
    assert_eq!(headings(&trace, 1).collect::<Vec<_>>(), [Some("borrow"), None, None]);
}
