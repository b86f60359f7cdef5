//! Draws a failing execution, one column per CPU.

use shootdown_explore::Report;

/// Prints a verdict, and the execution that led to it where there is one.
pub fn show(name: &str, cpus: usize, report: &Report) {
    let (verdict, states, runs) = (report.verdict.name(), report.states, report.executions);
    let words = report.verdict.words().map_or(String::new(), |words| format!(": {words}"));
    println!("{name}: {verdict}{words}\n  {states} states, {runs} runs of the code");
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
