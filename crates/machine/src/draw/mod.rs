//! Drawings of an execution for a terminal.

pub mod columns;
#[cfg(test)]
mod tests;

use shootdown_explore::Trace;

/// Returns the number of columns that `trace` on a machine with `cpus` CPUs needs.
pub fn lanes(trace: &Trace, cpus: usize) -> usize {
    trace.steps.iter().map(|step| step.mov.cpu + 1).max().unwrap_or(0).max(cpus).max(1)
}

/// Yields for each step the heading that begins with it, if one does. A step without a heading, as in most handlers,
/// ends none.
pub fn headings(trace: &Trace, lanes: usize) -> impl Iterator<Item = Option<&'static str>> {
    let mut current = vec![""; lanes];
    trace.steps.iter().map(move |step| {
        if step.note.is_empty() {
            return None;
        }
        let before = std::mem::replace(&mut current[step.mov.cpu], step.note);
        (before != step.note).then_some(step.note)
    })
}
