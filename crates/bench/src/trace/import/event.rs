//! What an event says: the fields of those that matter, as the kernel prints them, and as libtraceevent and its plugins
//! do for `trace-cmd report` and `perf script`.

use super::error::shown;
use super::layout::{number, pattern};
use regex::bytes::{Captures, Regex};
use std::sync::{LazyLock, OnceLock};

/// The column to which `trace-cmd` fills up the names of events.
const COLUMN: usize = 22;

/// What an event is to a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// `sched_switch` to this task.
    Switch { next: u32 },
    /// `sched_process_fork` of this task; its thread group, once it is known.
    Fork { child: u32, child_tgid: Option<u32> },
    /// `sched_process_exit`.
    Exit,
    /// `tlb_flush`; no number of pages for all.
    Flush { pages: Option<u32>, reason: Reason },
    /// `execve` or `execveat` is called.
    Exec,
    /// A call that changes mappings of so many pages.
    Call { pages: u64 },
}

/// Linux's `enum tlb_flush_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    TaskSwitch = 0,
    RemoteShootdown = 1,
    LocalMm = 3,
    RemoteSend = 4,
    WrongCpu = 5,
}

impl Reason {
    /// All, by number, with the words that the kernel prints; the case of letters differs from release to release.
    const ALL: [(Self, &str); 5] = [
        (Self::TaskSwitch, "flush on task switch"),
        (Self::RemoteShootdown, "remote shootdown"),
        (Self::LocalMm, "local mm shootdown"),
        (Self::RemoteSend, "remote ipi send"),
        (Self::WrongCpu, "remote wrong cpu"),
    ];
}

/// Fields in their order, each with its name and what is printed of it. The name of a task may hold anything that looks
/// like a field, so what follows one is looked for from the end.
type Fields = [(&'static str, &'static str)];

/// `REASONS` stands for the words and the number of any [`Reason`]; plugins print `=` for `:`, and no words for reasons
/// that they do not know.
const FLUSH: &Fields = &[
    ("pages", "pages[:=]"),
    ("pages", r"(?<pages>-1|\d+)"),
    ("reason", " reason[:=]"),
    ("reason", "(?<reason>REASONS)"),
];
const SWITCH: &Fields = &[
    ("prev_comm", "prev_comm="),
    ("prev_pid", r".* prev_pid=\d+"),
    ("prev_prio", r" prev_prio=-?\d+"),
    ("prev_state", " prev_state=[^ ]+"),
    ("next_comm", " ==> next_comm="),
    ("next_pid", r".* next_pid=(?<pid>\d+)"),
    ("next_prio", r" next_prio=-?\d+"),
];
const SWITCH_BY_PLUGIN: &Fields = &[("task", r".*:\d+ \[-?\d+\] [^ ]+ ==> .*:(?<pid>\d+) \[-?\d+\]")];
const FORK: &Fields = &[
    ("comm", "comm="),
    ("pid", r".* pid=\d+"),
    ("child_comm", " child_comm="),
    ("child_pid", ".* child_pid="),
    ("child_pid", r"(?<pid>\d+)"),
];
/// What newer kernels add may be missing.
const EXIT: &Fields = &[
    ("comm", "comm="),
    ("pid", r".* pid=\d+"),
    ("prio", r" prio=-?\d+"),
    ("group_dead", "(?: group_dead=(?:true|false))?"),
];
/// An argument of a call; option verbose puts a type before its name.
const ARGUMENT: &str = "(?:^|, )(?:[^,]* )?NAME: HEX";
/// The one that is a length.
const LENGTH: &str = "(?:^|, )(?:[^,]* )?NAME: (?<bytes>HEX)";
const MUNMAP: &Fields = &[("addr", ARGUMENT), ("len", LENGTH)];
const MPROTECT: &Fields = &[("start", ARGUMENT), ("len", LENGTH), ("prot", ARGUMENT)];
const MADVISE: &Fields = &[("start", ARGUMENT), ("len_in", LENGTH), ("behavior", ARGUMENT)];
const MREMAP: &Fields = &[
    ("addr", ARGUMENT),
    ("old_len", LENGTH),
    ("new_len", ARGUMENT),
    ("flags", ARGUMENT),
    ("new_addr", ARGUMENT),
];
/// Of execve and execveat; Linux 7 also prints the path, which may hold anything.
const EXEC: &Fields = &[("envp", ".*envp: "), ("envp", "HEX(?:, .*flags: HEX)?")];

/// An event that matters: the name of its tracepoint, and its fields.
#[derive(Debug)]
pub struct Known {
    pub name: &'static str,
    fields: &'static Fields,
    /// What all fields are, however they are printed.
    patterns: Vec<Regex>,
    /// What the first fields are: none, one and so on.
    begins: OnceLock<Vec<Regex>>,
}

pub const TLB_FLUSH: &str = "tlb_flush";
pub const SCHED_SWITCH: &str = "sched_switch";

static ALL: LazyLock<[Known; 10]> = LazyLock::new(|| {
    [
        (TLB_FLUSH, FLUSH),
        (SCHED_SWITCH, SWITCH),
        ("sched_process_fork", FORK),
        ("sched_process_exit", EXIT),
        ("sys_enter_munmap", MUNMAP),
        ("sys_enter_mprotect", MPROTECT),
        ("sys_enter_madvise", MADVISE),
        ("sys_enter_mremap", MREMAP),
        ("sys_enter_execve", EXEC),
        ("sys_enter_execveat", EXEC),
    ]
    .map(|(name, fields)| {
        let plugins = (name == SCHED_SWITCH).then_some(SWITCH_BY_PLUGIN);
        let forms = [fields].into_iter().chain(plugins);
        let patterns = forms.map(|fields| pattern(&format!("{}$", first(fields)))).collect();
        Known { name, fields, patterns, begins: OnceLock::new() }
    })
});

/// What begins an event that matters, in the format of any tracer.
static BEGINS: LazyLock<Regex> = LazyLock::new(|| {
    let (names, calls) = names();
    pattern(&format!(r"^(?:(?:[^:]*:)?(?:{names}):|sys_(?:{calls})\()"))
});

/// The same anywhere.
static MENTIONED: LazyLock<Regex> = LazyLock::new(|| {
    let (names, calls) = names();
    pattern(&format!(r"(?:{names}):|sys_(?:{calls})\("))
});

/// The names of all events, and of the calls among them, for a pattern.
fn names() -> (String, String) {
    let calls: Vec<&str> = ALL.iter().filter_map(Known::call).collect();
    (ALL.each_ref().map(|known| known.name).join("|"), calls.join("|"))
}

/// The pattern of `fields`, which the text begins with.
fn first(fields: &Fields) -> String {
    let reason = |(reason, words)| {
        let number = reason as u8;
        format!(r"(?:(?i:{words})|(?:0x)?0*{number})? \({number}\)")
    };
    let fields: String = fields.iter().map(|(name, printed)| printed.replace("NAME", name)).collect();
    let fields = fields.replace("HEX", "(?:0x)?[[:xdigit:]]{1,16}");
    format!("^{}", fields.replace("REASONS", &Reason::ALL.map(reason).join("|")))
}

impl Known {
    /// Finds the event of a body, and the text of its fields.
    pub fn find(body: &[u8], style: Body) -> Option<(&'static Self, &[u8])> {
        let body = match style {
            Body::Perf => &body[body.iter().position(|byte| *byte == b':')? + 1..],
            _ => body,
        };
        ALL.iter().find_map(|known| {
            if let (Body::Tracefs, Some(call)) = (style, known.call()) {
                let fields = body.strip_prefix(b"sys_")?.strip_prefix(call.as_bytes())?.strip_prefix(b"(")?;
                return Some((known, fields));
            }
            let fields = body.strip_prefix(known.name.as_bytes())?.strip_prefix(b":")?;
            let spaces = fields.iter().take_while(|byte| **byte == b' ').count();
            let expected = match style {
                Body::TraceCmd => spaces + known.name.len() + 1 >= COLUMN,
                Body::Tracefs => spaces == 1,
                // A plugin may begin with the name of a task, which may begin with spaces.
                Body::Perf => spaces >= 1,
            };
            expected.then_some((known, &fields[spaces..]))
        })
    }

    /// Whether `body` begins with an event that matters, in any tracer's format.
    pub fn begins(body: &[u8]) -> bool {
        BEGINS.is_match(body)
    }

    /// Whether an event that matters is named anywhere in `text`, in any tracer's format.
    pub fn is_mentioned(text: &[u8]) -> bool {
        MENTIONED.is_match(text)
    }

    fn call(&self) -> Option<&'static str> {
        self.name.strip_prefix("sys_enter_")
    }

    /// Reads the fields.
    ///
    /// # Errors
    /// The first field that is missing or not what the kernel prints there.
    pub fn read(&self, fields: &[u8], style: Body) -> Result<Event, BadField> {
        let mut text = fields.trim_ascii_end();
        if style == Body::Tracefs && self.call().is_some() {
            text = text.strip_suffix(b")").ok_or_else(|| bad("the end of the arguments", text))?;
        }
        let found = self.patterns.iter().find_map(|pattern| pattern.captures(text));
        let found = found.ok_or_else(|| self.first_bad(text))?;
        let pid = || small(&found, "pid", if self.name == SCHED_SWITCH { "next_pid" } else { "child_pid" });
        Ok(match (self.name, found.name("bytes")) {
            (TLB_FLUSH, _) => flush(&found)?,
            (SCHED_SWITCH, _) => Event::Switch { next: pid()? },
            ("sched_process_fork", _) => Event::Fork { child: pid()?, child_tgid: None },
            ("sched_process_exit", _) => Event::Exit,
            (_, Some(bytes)) => {
                let digits =
                    std::str::from_utf8(bytes.as_bytes()).unwrap_or_default().trim_start_matches("0x");
                Event::Call { pages: u64::from_str_radix(digits, 16).unwrap_or(0) >> 12 }
            }
            (_, None) => Event::Exec,
        })
    }

    /// The field up to which the text can be read, and what stands there.
    fn first_bad(&self, text: &[u8]) -> BadField {
        let all = self.fields.len();
        let begin = || (0..=all).map(|count| pattern(&first(&self.fields[..count]))).collect();
        let mut begins = self.begins.get_or_init(begin).iter().enumerate().rev();
        let good = begins.find_map(|(count, begin)| Some((count, begin.find(text)?.end())));
        let (count, end) = good.unwrap_or_default();
        bad(self.fields[count.min(all - 1)].0, &text[end..])
    }
}

/// How an event is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// By the kernel: `name: fields`, `sys_name(arguments)`.
    Tracefs,
    /// By `trace-cmd report`: `name:` and spaces up to a column.
    TraceCmd,
    /// By `perf script`: `system:name: fields`.
    Perf,
}

impl Body {
    /// Tells from an event that matters who printed it.
    pub fn detect(body: &[u8]) -> Option<Self> {
        [Self::Tracefs, Self::TraceCmd].into_iter().find(|style| Known::find(body, *style).is_some())
    }
}

/// A field that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Its name.
    pub field: &'static str,
    /// What stands there instead.
    pub found: String,
}

fn bad(field: &'static str, found: &[u8]) -> BadField {
    BadField { field, found: shown(found) }
}

/// The number in a group, which must be small enough.
fn small(found: &Captures<'_>, group: &str, field: &'static str) -> Result<u32, BadField> {
    let text = found.name(group).map_or(&b""[..], |text| text.as_bytes());
    number(found, group).and_then(|number| number.try_into().ok()).ok_or_else(|| bad(field, text))
}

fn flush(found: &Captures<'_>) -> Result<Event, BadField> {
    let pages = match &found["pages"] {
        b"-1" => None,
        // Less than a page of the size that the range has is one all the same.
        _ => Some(small(found, "pages", "pages")?.max(1)),
    };
    let is_reason = |reason: Reason| found["reason"].ends_with(format!("({})", reason as u8).as_bytes());
    let reason = Reason::ALL.into_iter().map(|(reason, _)| reason).find(|reason| is_reason(*reason));
    Ok(Event::Flush { pages, reason: reason.unwrap_or(Reason::TaskSwitch) })
}
