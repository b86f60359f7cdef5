use indicatif::{HumanCount, ProgressBar, ProgressStyle};
use shootdown_explore::Progress;
use std::time::Duration;

/// A line on the terminal that says how far the current case is; silent where stderr is no terminal.
#[derive(Debug)]
pub struct Line {
    bar: ProgressBar,
    name: String,
}

impl Line {
    /// Starts the line of the case called `name`.
    pub fn start(name: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        bar.set_message(name.to_owned());
        Self { bar, name: name.to_owned() }
    }

    /// Shows `progress`.
    pub fn show(&self, progress: Progress) {
        self.bar.set_message(format!(
            "{}: {} states, {} to go on from, depth {}, round {}",
            self.name,
            HumanCount(progress.states),
            HumanCount(progress.frontier),
            progress.depth,
            progress.round
        ));
    }

    /// Shows a text.
    pub fn say(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
