//! Draws a failing execution, one column per CPU.

use shootdown_explore::Report;

/// Prints a verdict, and the execution that led to it where there is one.
pub fn show(name: &str, cpus: usize, report: &Report) {
    println!(
        "{name}: {:?}\n  {} states, {} runs of the code",
        report.verdict, report.states, report.executions
    );
    let Some(trace) = &report.trace else { return };
    const WIDTH: usize = 46;
    for step in &trace.steps {
        let indent = step.mov.cpu * WIDTH;
        let depth = "  ".repeat(usize::from(step.depth));
        println!("  {:indent$}{depth}{}", "", step.text);
    }
    let ruler = "-".repeat(WIDTH * cpus);
    println!("  {ruler}\n  {}\n", trace.outcome);
}
