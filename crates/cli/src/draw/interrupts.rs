use shootdown_explore::{Action, Trace};

/// Returns pairs of steps: one that raises an interrupt, and the one in which its target takes it. An interrupt that
/// was pending from the start, or that a device raised, has no pair.
pub fn interrupts(trace: &Trace) -> Vec<(usize, usize)> {
    let mut pending: Vec<((usize, u8), usize)> = Vec::new();
    let mut pairs = Vec::new();
    for (at, step) in trace.steps.iter().enumerate() {
        if let Some(target) = raised(&step.text) {
            pending.push((target, at));
        }
        if let Action::Interrupt(line) = step.mov.action {
            let taken = (step.mov.cpu, line);
            // Raised again while pending: merged into the first.
            pairs.extend(pending.iter().find(|(target, _)| *target == taken).map(|&(_, from)| (from, at)));
            pending.retain(|(target, _)| *target != taken);
        }
    }
    pairs
}

/// Reads CPU and line out of the explorer's words for a raised interrupt; a trace says it in no other way.
fn raised(text: &str) -> Option<(usize, u8)> {
    let (line, cpu) = text.strip_prefix("raises interrupt ")?.split_once(" on CPU ")?;
    Some((cpu.parse().ok()?, line.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::interrupts;
    use crate::testing::trace;
    use shootdown_explore::{Action, Move, Step};

    #[test]
    fn an_interrupt_belongs_to_the_first_raise_since_it_was_last_taken() {
        let mut trace = trace("");
        let step = |cpu, action, text: &str| Step {
            mov: Move { cpu, action },
            text: text.to_owned(),
            ..trace.steps[0].clone()
        };
        trace.steps = vec![
            step(1, Action::Interrupt(0), "takes interrupt 0"),
            step(0, Action::Run, "raises interrupt 0 on CPU 1"),
            step(0, Action::Run, "raises interrupt 0 on CPU 2"),
            step(2, Action::Run, "raises interrupt 0 on CPU 1"),
            step(1, Action::Interrupt(1), "takes interrupt 1"),
            step(1, Action::Interrupt(0), "takes interrupt 0"),
            step(1, Action::Interrupt(0), "takes interrupt 0"),
        ];
        assert_eq!(interrupts(&trace), [(1, 5)]);
    }
}
