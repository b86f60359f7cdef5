//! From lines to events, and what a recording must be for them to mean something.

use super::aside::{Aside, after_log_prefix, lost_record};
use super::error::ImportError;
use super::event::{BadField, Body, Event, Known, SCHED_SWITCH, TLB_FLUSH};
use super::found::{ImportOptions, Imported};
use super::layout::{Clock, Context, Layout, Style, number, pattern};
use crate::machine::MAX_CPUS;
use crate::trace::format::LAST_MICROS;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// How far a line may lie behind one of another CPU: a reader of `trace_pipe` meets an event late that another CPU was
/// interrupted while it wrote.
const LATE_MICROS: u64 = 10_000;
/// Of so many events one may be lost.
const LOST_ONE_IN: u64 = 10;

/// How many events the ring buffer has, and how many were written to it.
static ENTRIES: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"entries-in-buffer/entries-written: (?<kept>\d+)/(?<written>\d+)"));

static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern("(?: latency trace v.*? on |# os release : )"));

/// An event, and where and when it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamped {
    pub micros: u64,
    pub cpu: u16,
    pub pid: u32,
    pub tgid: Option<u32>,
    pub event: Event,
}

/// Reads the lines of one recording.
pub struct Lines {
    options: ImportOptions,
    /// How context is printed, and the first line that says so.
    layout: Option<(Layout, u64)>,
    /// How events are printed, and the first line that says so.
    body: Option<(Body, u64)>,
    /// The first and the latest time.
    span: Option<(u64, u64)>,
    /// The latest time of each CPU.
    latest: Vec<u64>,
    found: Imported,
}

impl Lines {
    pub fn new(options: ImportOptions) -> Self {
        let (layout, body, span) = (None, None, None);
        Self { options, layout, body, span, latest: Vec::new(), found: Imported::default() }
    }

    /// Whether lines say which thread group a task is of.
    pub fn has_tgid(&self) -> bool {
        self.layout.is_some_and(|(layout, _)| layout.tgid)
    }

    /// The first line without the mark that editors put before UTF-8.
    fn without_mark<'a>(&self, line: &'a [u8]) -> Result<&'a [u8], ImportError> {
        if [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| line.starts_with(*mark)) {
            let remedy = "convert it: iconv -f UTF-16 -t UTF-8";
            return Err(self.refuse(line, "the text is UTF-16", remedy));
        }
        Ok(line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line))
    }

    /// Reads one line; returns the event if it is one that matters.
    pub fn read(&mut self, line: &[u8]) -> Result<Option<Stamped>, ImportError> {
        self.found.lines += 1;
        let line = if self.found.lines == 1 { self.without_mark(line)? } else { line };
        let line = line.trim_ascii_end();
        let Some((layout, context)) = self.context(line) else {
            return self.aside(line).map(|()| None);
        };
        let (known, first) = *self.layout.get_or_insert((layout, self.found.lines));
        if layout != known {
            let what = format!("the line has {layout}, where line {first} has {known}");
            return Err(self.refuse(
                line,
                what,
                "give one recording at a time, printed with the same options",
            ));
        }
        let cpu = self.cpu(line, context.cpu)?;
        let micros = self.micros(line, context.time, layout.clock)?;
        self.pass(line, cpu, micros)?;
        let event = self.event(line, &context)?;
        Ok(event.map(|event| Stamped { micros, cpu, pid: context.pid, tgid: context.tgid, event }))
    }

    /// Reads what stands before an event, also behind what the kernel log puts before a line: no name begins a line.
    fn context<'a>(&self, line: &'a [u8]) -> Option<(Layout, Context<'a>)> {
        let read = |text| match self.layout {
            Some((layout, _)) => layout.style.read(text),
            None => Layout::detect(text),
        };
        after_log_prefix(line).and_then(read).or_else(|| read(line))
    }

    fn refuse(&self, line: &[u8], what: impl Into<String>, remedy: impl Into<String>) -> ImportError {
        ImportError::line(self.found.lines, line, what, remedy)
    }

    fn aside(&mut self, line: &[u8]) -> Result<(), ImportError> {
        let Some(aside) = Aside::of(line, self.body.map(|(body, _)| body)) else {
            return Err(self.unexplained(line));
        };
        match aside {
            Aside::Blank => self.found.blank += 1,
            Aside::Comment => {
                self.found.comments += 1;
                self.comment(line);
            }
            Aside::Note => self.found.notes += 1,
            Aside::Frame => self.found.frames += 1,
            Aside::Log => self.found.log_lines += 1,
            Aside::Lost(count) => self.lose(count),
        }
        Ok(())
    }

    fn unexplained(&self, line: &[u8]) -> ImportError {
        if Known::begins(line.trim_ascii()) {
            let what = "no task, CPU and time stand before the event";
            return self.refuse(
                line,
                what,
                "print it with option context-info: `echo 1 > options/context-info`",
            );
        }
        let what = match self.layout {
            Some((_, first)) => format!("not laid out as line {first} is, and no comment"),
            None => "no line that tracefs, `trace-cmd report` or `perf script` prints".into(),
        };
        self.refuse(
            line,
            what,
            "options verbose, raw, hex, bin and fields must be off, the tracer `nop`, and the text whole",
        )
    }

    fn lose(&mut self, count: Option<u64>) {
        self.found.lost_lines += 1;
        match count {
            Some(count) => self.found.lost = self.found.lost.saturating_add(count),
            None => self.found.lost_unknown += 1,
        }
    }

    /// Looks for what the comments say about the recording.
    fn comment(&mut self, line: &[u8]) {
        if let Some(entries) = ENTRIES.captures(line) {
            let (kept, written) = (number(&entries, "kept"), number(&entries, "written"));
            self.found.overwritten =
                written.zip(kept).map_or(0, |(written, kept)| written.saturating_sub(kept));
        }
        if let Some(before) = VERSION.find(line) {
            self.found.kernel = Some(String::from_utf8_lossy(&line[before.end()..]).into_owned());
        }
    }

    fn cpu(&mut self, line: &[u8], cpu: u32) -> Result<u16, ImportError> {
        if cpu as usize >= MAX_CPUS {
            let what = format!("CPU {cpu}, and a trace has at most {MAX_CPUS} CPUs, 0 to {}", MAX_CPUS - 1);
            return Err(self.refuse(
                line,
                what,
                "record fewer CPUs: `tracing_cpumask`, `trace-cmd -M`, `perf -C`",
            ));
        }
        self.found.cpus = self.found.cpus.max(cpu as u16 + 1);
        Ok(cpu as u16)
    }

    fn micros(&self, line: &[u8], time: u64, clock: Clock) -> Result<u64, ImportError> {
        let micros = match (clock, self.options.tick_hz) {
            (Clock::Ticks, None) => {
                let what = format!("the time {time} counts ticks of a clock (x86-tsc, counter or uptime)");
                let remedy =
                    "give the ticks of a second with `--tick-hz`, or record with `echo mono > trace_clock`";
                return Err(self.refuse(line, what, remedy));
            }
            (Clock::Ticks, Some(hz)) => u128::from(time) * 1_000_000 / u128::from(hz.get()),
            _ => time.into(),
        };
        let micros = u64::try_from(micros).ok().filter(|micros| *micros <= LAST_MICROS);
        micros
            .ok_or_else(|| self.refuse(line, format!("the time {time} is past 142 years"), "record it again"))
    }

    /// Notes a time; it may lie behind that of another CPU by a little.
    fn pass(&mut self, line: &[u8], cpu: u16, micros: u64) -> Result<(), ImportError> {
        let (first, latest) = self.span.unwrap_or((micros, micros));
        if self.latest.len() <= usize::from(cpu) {
            self.latest.resize(usize::from(cpu) + 1, 0);
        }
        let own = std::mem::replace(&mut self.latest[usize::from(cpu)], micros);
        let back = latest.saturating_sub(micros);
        if own > micros || back > LATE_MICROS {
            let what = format!("time goes back from {} s to {} s", seconds(latest.max(own)), seconds(micros));
            let remedy = "the lines must be in the order of time: record all CPUs in one file, \
                          or merge files of one CPU each by their time";
            return Err(self.refuse(line, what, remedy));
        }
        if back > 0 {
            self.found.late_lines += 1;
            self.found.latest_by = self.found.latest_by.max(back);
        }
        self.span = Some((first.min(micros), latest.max(micros)));
        Ok(())
    }

    fn event(&mut self, line: &[u8], context: &Context<'_>) -> Result<Option<Event>, ImportError> {
        if let Some(count) = lost_record(context.body) {
            self.lose(count);
            return Ok(None);
        }
        let body = match (self.body, self.layout) {
            (Some((body, _)), _) => Some(body),
            (None, Some((Layout { style: Style::Perf, .. }, _))) => Some(Body::Perf),
            (None, _) => Body::detect(context.body),
        };
        let found = body.and_then(|body| Some((body, Known::find(context.body, body)?)));
        let Some((body, (known, fields))) = found else {
            if Known::begins(context.body) {
                let first = self.body.map_or(1, |(_, first)| first);
                let what = format!("the event is printed otherwise than those from line {first} on");
                return Err(self.refuse(
                    line,
                    what,
                    "give one recording at a time, printed with the same options",
                ));
            }
            self.found.others += 1;
            return Ok(None);
        };
        self.body.get_or_insert((body, self.found.lines));
        let event = known.read(fields, body).map_err(|BadField { field, found }| {
            let what = format!("{}: {field} cannot be read from {found}", known.name);
            self.refuse(
                line,
                what,
                "print it again, whole and without option raw; report a field that a newer kernel prints",
            )
        })?;
        *self.found.events.entry(known.name).or_default() += 1;
        if let Event::Flush { reason, .. } = event {
            self.found.flushes[reason as usize] += 1;
        }
        Ok(Some(event))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// What was read means nothing.
    pub fn finish(mut self) -> Result<Imported, ImportError> {
        let found = &mut self.found;
        let Some((layout, _)) = self.layout else {
            return Err(ImportError::recording(
                format!("none of its {} lines is an event", found.lines),
                "record the events that `shootdown record-import --help` names, as text",
            ));
        };
        let tool = match self.body {
            Some((Body::Tracefs, _)) => "tracefs text",
            Some((Body::TraceCmd, _)) => "trace-cmd report",
            Some((Body::Perf, _)) => "perf script",
            None => "text",
        };
        found.dialect = format!("{tool} ({layout})");
        found.ticks = layout.clock == Clock::Ticks;
        if found.flushes[super::event::Reason::WrongCpu as usize] > 0 && found.kernel.is_none() {
            found.kernel = Some("6.13 or later (reason 5)".into());
        }
        found.span_micros = self.span.map_or(0, |(first, last)| last - first);
        if !found.events.contains_key(TLB_FLUSH) {
            return Err(ImportError::recording(
                format!("none of its {} lines is a tlb_flush", found.lines),
                "enable event tlb/tlb_flush; only kernels for x86 have it",
            ));
        }
        if !found.events.contains_key(SCHED_SWITCH) {
            return Err(ImportError::recording(
                format!("none of its {} lines is a sched_switch, so nothing says what CPUs run", found.lines),
                "enable event sched/sched_switch too",
            ));
        }
        let events = found.events.values().sum::<u64>() + found.others;
        if found.lost > events / LOST_ONE_IN {
            return Err(ImportError::recording(
                format!("{} events were lost beside {events} that are there", found.lost),
                "record with larger buffers: `buffer_size_kb`, `trace-cmd record -b`, `perf record -m`",
            ));
        }
        Ok(self.found)
    }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
