//! An execution as text: one column per CPU, time running down.

use anstyle::{AnsiColor, Style};
use shootdown_explore::{Action, Step, Trace};
use std::fmt::Write as _;
use unicode_width::UnicodeWidthStr as _;

/// Narrower columns break words too often to read; the steps then go into one list.
const NARROWEST: usize = 20;
/// Wider columns only push the CPUs apart.
const WIDEST: usize = 52;
/// Stands left of each column: the CPU's line of time.
const LINE_OF_TIME: &str = "│ ";
/// Stands before a step of an interrupt handler, once for each level.
const IN_HANDLER: &str = "┊ ";

/// What a drawing shows, and where it must fit.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Characters in a line.
    pub width: usize,
    /// Whether the machine's state is shown after each step that changes it.
    pub state: bool,
    /// Whether each step names its line of code.
    pub places: bool,
    /// Whether the machine's state is shown at the end.
    pub end: bool,
    /// Whether there are colours.
    pub colours: bool,
}

impl Look {
    /// The steps, and the machine at the end, in lines of `width` characters and in colours.
    pub fn in_width(width: usize) -> Self {
        Self { width, state: false, places: false, end: true, colours: true }
    }
}

/// How to read a drawing.
pub const NOTATION: &str = "\
Time runs down, a column for each CPU. `x := 1 (buffered)` is a store that waits in the CPU's store buffer, `x = 1 \
reaches memory` is where others see it, `<-` a store to a page table; [names] say what a CPU has begun.";

/// Draws `trace` on a machine with `cpus` CPUs.
pub fn draw(trace: &Trace, cpus: usize, look: Look) -> String {
    let lanes = super::lanes(trace, cpus);
    let grid = Grid::new(lanes, trace.steps.len(), look);
    let mut out = String::new();
    grid.head(&mut out);
    let mut state: &[String] = &[];
    let last = trace.steps.len().saturating_sub(1);
    for ((at, step), heading) in trace.steps.iter().enumerate().zip(super::headings(trace, lanes)) {
        if let Some(heading) = heading {
            grid.cell(&mut out, None, step.mov.cpu, "", Style::new().bold(), &format!("[{heading}]"));
        }
        let fatal = at == last && !trace.outcome.is_empty();
        let style = if fatal { AnsiColor::Red.on_default().bold() } else { style_of(step) };
        let indent = IN_HANDLER.repeat(usize::from(step.depth));
        grid.cell(&mut out, Some(at + 1), step.mov.cpu, &indent, style, &step.text);
        if let (true, Some(place)) = (look.places, step.place) {
            let place = format!("{}:{}", place.file(), place.line());
            grid.cell(&mut out, None, step.mov.cpu, &indent, Style::new().dimmed(), &place);
        }
        if look.state {
            for line in step.state.iter().filter(|line| !state.contains(line)) {
                grid.full(&mut out, Style::new().dimmed(), line);
            }
            state = &step.state;
        }
    }
    grid.end(&mut out, trace, look);
    out
}

fn style_of(step: &Step) -> Style {
    match step.mov.action {
        Action::Run | Action::Choose(_) => Style::new(),
        Action::Older(_) => AnsiColor::Cyan.on_default(),
        Action::Drain(_) => AnsiColor::Cyan.on_default(),
        Action::Interrupt(_) => AnsiColor::Yellow.on_default(),
    }
}

/// Where columns stand.
#[derive(Debug)]
struct Grid {
    /// CPUs, whether or not each has its own column.
    cpus: usize,
    /// Width of the numbers at the left.
    digits: usize,
    /// Characters of text in a column.
    column: usize,
    /// Whether all CPUs share one column, for want of room.
    shared: bool,
    /// Characters in a line.
    width: usize,
    colours: bool,
}

impl Grid {
    fn new(cpus: usize, steps: usize, look: Look) -> Self {
        let Look { width, colours, .. } = look;
        let digits = steps.to_string().len().max(2);
        let room = |columns: usize| {
            let each = width.saturating_sub(digits + 1) / columns;
            each.saturating_sub(LINE_OF_TIME.width() + 1)
        };
        let shared = room(cpus) < NARROWEST;
        let column = if shared { room(1).max(NARROWEST) } else { room(cpus).min(WIDEST) };
        Self { cpus, digits, column, shared, width: width.max(NARROWEST), colours }
    }

    /// `style`, or none where there are no colours.
    fn style(&self, style: Style) -> Style {
        if self.colours { style } else { Style::new() }
    }

    fn head(&self, out: &mut String) {
        let bold = self.style(Style::new().bold());
        let _ = write!(out, "{:1$} ", "", self.digits);
        let mut names: Vec<String> = (0..self.cpus).map(|cpu| format!("CPU {cpu}")).collect();
        if self.shared {
            names = vec!["All CPUs".to_owned()];
        }
        let room = self.column + LINE_OF_TIME.width() + 1;
        let names: String = names.iter().map(|name| format!("{name:room$}")).collect();
        let _ = writeln!(out, "{bold}{}{bold:#}", names.trim_end());
    }

    /// Writes `text` into the column of `cpu`, over as many lines as it needs, each after `indent`.
    fn cell(
        &self,
        out: &mut String,
        number: Option<usize>,
        cpu: usize,
        indent: &str,
        style: Style,
        text: &str,
    ) {
        let first = if self.shared { format!("cpu {cpu}: {indent}") } else { indent.to_owned() };
        let hanging = format!("{indent}  ");
        let options = textwrap::Options::new(self.column).initial_indent(&first).subsequent_indent(&hanging);
        let mut number = number.map(|n| n.to_string()).unwrap_or_default();
        let (dim, style) = (self.style(Style::new().dimmed()), self.style(style));
        let columns = if self.shared { 1 } else { self.cpus };
        let own = if self.shared { 0 } else { cpu };
        for line in textwrap::wrap(text, options) {
            let _ = write!(out, "{dim}{number:>0$} ", self.digits);
            number.clear();
            for column in 0..columns {
                let text = if column == own { line.as_ref() } else { "" };
                // Padding would be left hanging at the end of the line.
                let last = column + 1 == columns;
                let free = if last { 0 } else { (self.column + 1).saturating_sub(text.width()) };
                let time = if last && text.is_empty() { LINE_OF_TIME.trim_end() } else { LINE_OF_TIME };
                let _ = write!(out, "{time}{dim:#}{style}{text}{style:#}{:free$}{dim}", "");
            }
            let _ = writeln!(out, "{dim:#}");
        }
    }

    /// Writes `text` across all columns.
    fn full(&self, out: &mut String, style: Style, text: &str) {
        let indent = " ".repeat(self.digits + 1);
        let options = textwrap::Options::new(self.width).initial_indent(&indent).subsequent_indent(&indent);
        let style = self.style(style);
        for line in textwrap::wrap(text, options) {
            let _ = writeln!(out, "{style}{line}{style:#}");
        }
    }

    fn end(&self, out: &mut String, trace: &Trace, look: Look) {
        if !trace.outcome.is_empty() {
            self.full(out, AnsiColor::Red.on_default().bold(), &format!("✗ {}", trace.outcome));
        }
        let last = trace.steps.last().filter(|step| look.end && !step.state.is_empty());
        let Some(last) = last else { return };
        self.full(out, Style::new().bold(), "The machine at the end:");
        for line in &last.state {
            self.full(out, Style::new(), &format!("  {line}"));
        }
    }
}
