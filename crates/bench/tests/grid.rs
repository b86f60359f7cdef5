//! Limits of what the engine loses on the grid. `shootdown bench --grid` names the cells of all ten shapes.

use shootdown_bench::grid::{SHAPES, Shape, grid};
use shootdown_bench::losses::{Counted, losses};
use shootdown_bench::workload::WorkloadKind;

/// The shapes that are held to limits: the others take long.
fn some_shapes() -> Vec<Shape> {
    SHAPES.into_iter().filter(|shape| [4, 8, 16].contains(&shape.cpus)).collect()
}

/// Most losses in IPIs and in cycles on those shapes: what they are. Debug builds look at more words, and take other
/// turns.
const LIMITS: [usize; 2] = if cfg!(debug_assertions) { [100, 80] } else { [63, 37] };

#[test]
fn losses_stay_within_their_limits_and_each_has_a_reason() {
    let shapes = some_shapes();
    assert_eq!(shapes.len(), 6, "{shapes:?}");
    let cells = grid(&WorkloadKind::ALL, &shapes, || ());
    assert_eq!(cells.len(), WorkloadKind::ALL.len() * shapes.len() * 3);
    for cost in cells.iter().flat_map(|cell| &cell.costs) {
        assert!(cost.as_promised, "{cost:?}");
    }
    let losses = losses(&cells);
    let lost = [Counted::Ipis, Counted::Cycles]
        .map(|counted| losses.iter().filter(|loss| loss.counted == counted).count());
    println!("lost in IPIs and in cycles: {lost:?}");
    for loss in &losses {
        assert!(loss.reason.is_some(), "the reason has not been found: {loss:?}");
    }
    assert!(lost[0] <= LIMITS[0] && lost[1] <= LIMITS[1], "{lost:?} beyond {LIMITS:?}");
}
