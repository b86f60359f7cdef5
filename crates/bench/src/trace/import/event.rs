//! What an event says: the fields of those that matter, as the kernel prints them, and as libtraceevent and its plugins do
//! for `trace-cmd report` and `perf script`.
//!
//! Fields are read from the end, where only the kernel writes: the name of a task may hold anything that looks like one.

use super::text::{digits, hexadecimal, shown, signed, skip_spaces, split_first, split_last, unsigned};

/// The column to which `trace-cmd` fills up the names of events.
const COLUMN: usize = 22;
/// Bytes from the end of the fields among which the name of the next task or of a child begins.
const LAST_NAME: usize = 128;

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
    pub const ALL: [(Self, &str); 5] = [
        (Self::TaskSwitch, "flush on task switch"),
        (Self::RemoteShootdown, "remote shootdown"),
        (Self::LocalMm, "local mm shootdown"),
        (Self::RemoteSend, "remote ipi send"),
        (Self::WrongCpu, "remote wrong cpu"),
    ];
}

/// The events that matter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Known {
    TlbFlush,
    Switch,
    Fork,
    Exit,
    Munmap,
    Mprotect,
    Madvise,
    Mremap,
    Execve,
    Execveat,
}

impl Known {
    const ALL: [Self; 10] = [
        Self::TlbFlush,
        Self::Switch,
        Self::Fork,
        Self::Exit,
        Self::Munmap,
        Self::Mprotect,
        Self::Madvise,
        Self::Mremap,
        Self::Execve,
        Self::Execveat,
    ];

    /// The name of the tracepoint.
    pub fn name(self) -> &'static str {
        match self {
            Self::TlbFlush => "tlb_flush",
            Self::Switch => "sched_switch",
            Self::Fork => "sched_process_fork",
            Self::Exit => "sched_process_exit",
            Self::Munmap => "sys_enter_munmap",
            Self::Mprotect => "sys_enter_mprotect",
            Self::Madvise => "sys_enter_madvise",
            Self::Mremap => "sys_enter_mremap",
            Self::Execve => "sys_enter_execve",
            Self::Execveat => "sys_enter_execveat",
        }
    }

    /// The arguments of the call, and which of them is a length.
    fn arguments(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Munmap => (&["addr", "len"], "len"),
            Self::Mprotect => (&["start", "len", "prot"], "len"),
            Self::Madvise => (&["start", "len_in", "behavior"], "len_in"),
            Self::Mremap => (&["addr", "old_len", "new_len", "flags", "new_addr"], "old_len"),
            _ => (&[], ""),
        }
    }

    /// Finds the event of a body, and the text of its fields.
    pub fn find(body: &[u8], style: Body) -> Option<(Self, &[u8])> {
        let body = match style {
            Body::Perf => split_first(body, b":")?.1,
            _ => body,
        };
        Self::ALL.into_iter().find_map(|known| {
            if let (Body::Tracefs, Some(call)) = (style, known.call()) {
                let fields = body.strip_prefix(b"sys_")?.strip_prefix(call.as_bytes())?.strip_prefix(b"(")?;
                return Some((known, fields));
            }
            let fields = body.strip_prefix(known.name().as_bytes())?.strip_prefix(b":")?;
            let spaces = fields.len() - skip_spaces(fields).len();
            let expected = match style {
                Body::TraceCmd => spaces + known.name().len() + 1 >= COLUMN,
                Body::Tracefs => spaces == 1,
                // A plugin may begin with the name of a task, which may begin with spaces.
                Body::Perf => spaces >= 1,
            };
            expected.then_some((known, &fields[spaces..]))
        })
    }

    /// Whether `body` begins with an event that matters, whoever printed it and however.
    pub fn begins(body: &[u8]) -> bool {
        let named = |text: &[u8], known: Self| {
            text.strip_prefix(known.name().as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
        };
        let behind_system = split_first(body, b":").map_or(&b""[..], |(_, rest)| rest);
        Self::ALL.into_iter().any(|known| {
            let call = known.call().map(|call| format!("sys_{call}("));
            named(body, known)
                || named(behind_system, known)
                || call.is_some_and(|call| body.starts_with(call.as_bytes()))
        })
    }

    /// Whether an event that matters is named anywhere in `text`, whoever printed it.
    pub fn is_mentioned(text: &[u8]) -> bool {
        Self::ALL.into_iter().any(|known| {
            let call = known.call().map(|call| format!("sys_{call}("));
            let name = format!("{}:", known.name());
            split_first(text, name.as_bytes()).is_some()
                || call.is_some_and(|call| split_first(text, call.as_bytes()).is_some())
        })
    }

    fn call(self) -> Option<&'static str> {
        self.name().strip_prefix("sys_enter_")
    }

    /// Reads the fields.
    ///
    /// # Errors
    /// The first field that is missing or not what the kernel prints there.
    pub fn read(self, fields: &[u8], style: Body) -> Result<Event, BadField> {
        let fields = fields.trim_ascii_end();
        match self {
            Self::TlbFlush => flush(fields),
            Self::Switch => switch(fields),
            Self::Fork => fork(fields),
            Self::Exit => exit(fields),
            Self::Execve | Self::Execveat => exec(closed(fields, style)?),
            call => {
                let (names, length) = call.arguments();
                Ok(Event::Call { pages: argument(closed(fields, style)?, names, length)? >> 12 })
            }
        }
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

/// Reads `pages:N reason:WORDS (N)`; plugins print `=` for `:`, and no words for reasons that they do not know.
fn flush(fields: &[u8]) -> Result<Event, BadField> {
    let rest =
        fields.strip_prefix(b"pages").and_then(|rest| rest.strip_prefix(b":").or(rest.strip_prefix(b"=")));
    let rest = rest.ok_or_else(|| bad("pages", fields))?;
    let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
    let (pages, rest) = rest.split_at(end);
    let pages = match signed(pages) {
        Some(-1) => None,
        // Less than a page of the size that the range has is one all the same.
        Some(count) => Some(u32::try_from(count).map_err(|_| bad("pages", pages))?.max(1)),
        None => return Err(bad("pages", pages)),
    };
    let rest =
        rest.strip_prefix(b" reason").and_then(|rest| rest.strip_prefix(b":").or(rest.strip_prefix(b"=")));
    let rest = rest.ok_or_else(|| bad("reason", fields))?;
    let (words, number) = split_last(rest, b" (").ok_or_else(|| bad("reason", rest))?;
    let number = number.strip_suffix(b")").and_then(unsigned).ok_or_else(|| bad("reason", rest))?;
    let known = Reason::ALL.into_iter().find(|(reason, _)| *reason as u64 == number);
    let (reason, expected) = known.ok_or_else(|| bad("reason", rest))?;
    let unnamed = words.is_empty() || hexadecimal(words) == Some(number);
    if !unnamed && !words.eq_ignore_ascii_case(expected.as_bytes()) {
        return Err(bad("reason", rest));
    }
    Ok(Event::Flush { pages, reason })
}

/// Reads `prev_comm=... ==> next_comm=... next_pid=N next_prio=N`, or the plugin's `comm:pid [prio] S ==> comm:pid [prio]`.
fn switch(fields: &[u8]) -> Result<Event, BadField> {
    switch_by_kernel(fields).or_else(|error| switch_by_plugin(fields).ok_or(error))
}

fn switch_by_kernel(fields: &[u8]) -> Result<Event, BadField> {
    let rest = fields.strip_prefix(b"prev_comm=").ok_or_else(|| bad("prev_comm", fields))?;
    let (rest, priority) = split_last(rest, b" next_prio=").ok_or_else(|| bad("next_prio", rest))?;
    signed(priority).ok_or_else(|| bad("next_prio", priority))?;
    let (rest, next) = split_last(rest, b" next_pid=").ok_or_else(|| bad("next_pid", rest))?;
    let next = pid(next).ok_or_else(|| bad("next_pid", next))?;
    let previous = |text: &[u8]| {
        let (text, state) = split_last(text, b" prev_state=")?;
        let (text, priority) = split_last(text, b" prev_prio=")?;
        let (_, previous) = split_last(text, b" prev_pid=")?;
        (is_word(state) && signed(priority).is_some()).then(|| pid(previous))?
    };
    match any_split(rest, b" ==> next_comm=", |before| previous(before).is_some()) {
        true => Ok(Event::Switch { next }),
        false => Err(bad("prev_state", rest)),
    }
}

fn switch_by_plugin(fields: &[u8]) -> Option<Event> {
    let task = |text: &[u8]| {
        let (text, priority) = split_last(text.strip_suffix(b"]")?, b" [")?;
        signed(priority)?;
        pid(split_last(text, b":")?.1)
    };
    let next = task(fields)?;
    let previous = |text: &[u8]| {
        split_last(text, b" ").is_some_and(|(text, state)| is_word(state) && task(text).is_some())
    };
    any_split(fields, b" ==> ", previous).then_some(Event::Switch { next })
}

/// Whether `accept` takes what stands before any of the last places where `mark` stands; a name may hold it too.
fn any_split(text: &[u8], mark: &[u8], accept: impl Fn(&[u8]) -> bool) -> bool {
    let first = text.len().saturating_sub(LAST_NAME);
    text[first..]
        .windows(mark.len())
        .enumerate()
        .any(|(at, piece)| piece == mark && accept(&text[..first + at]))
}

/// Reads `comm=... pid=N child_comm=... child_pid=N`.
fn fork(fields: &[u8]) -> Result<Event, BadField> {
    let rest = fields.strip_prefix(b"comm=").ok_or_else(|| bad("comm", fields))?;
    let (rest, child) = split_last(rest, b" child_pid=").ok_or_else(|| bad("child_pid", rest))?;
    let child = pid(child).ok_or_else(|| bad("child_pid", child))?;
    let parent = |text: &[u8]| split_last(text, b" pid=").is_some_and(|(_, number)| pid(number).is_some());
    match any_split(rest, b" child_comm=", parent) {
        true => Ok(Event::Fork { child, child_tgid: None }),
        false => Err(bad("pid", rest)),
    }
}

/// Reads `comm=... pid=N prio=N`, and what newer kernels add.
fn exit(fields: &[u8]) -> Result<Event, BadField> {
    let rest = fields.strip_prefix(b"comm=").ok_or_else(|| bad("comm", fields))?;
    let (rest, last) = split_last(rest, b" prio=").ok_or_else(|| bad("prio", rest))?;
    let (priority, after) = split_first(last, b" ").unwrap_or((last, b""));
    signed(priority).ok_or_else(|| bad("prio", last))?;
    if !matches!(after, b"" | b"group_dead=true" | b"group_dead=false") {
        return Err(bad("group_dead", after));
    }
    let (_, number) = split_last(rest, b" pid=").ok_or_else(|| bad("pid", rest))?;
    pid(number).map(|_| Event::Exit).ok_or_else(|| bad("pid", number))
}

/// Drops the parenthesis that the kernel closes the arguments with.
fn closed(fields: &[u8], style: Body) -> Result<&[u8], BadField> {
    match style {
        Body::Tracefs => fields.strip_suffix(b")").ok_or_else(|| bad("the end of the arguments", fields)),
        _ => Ok(fields),
    }
}

/// Reads `name: value, name: value`; option verbose puts a type before each name.
fn argument(text: &[u8], names: &'static [&'static str], wanted: &str) -> Result<u64, BadField> {
    let mut rest = text;
    let mut found = 0;
    for (at, name) in names.iter().copied().enumerate() {
        let (this, after) = match at + 1 == names.len() {
            true => (rest, &b""[..]),
            false => split_first(rest, b", ").ok_or_else(|| bad(name, rest))?,
        };
        let (label, value) = split_first(this, b": ").ok_or_else(|| bad(name, this))?;
        let label = label.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
        if label != name.as_bytes() {
            return Err(bad(name, this));
        }
        let value = hexadecimal(value).ok_or_else(|| bad(name, value))?;
        if name == wanted {
            found = value;
        }
        rest = after;
    }
    Ok(found)
}

/// Looks for the last pointer of the arguments of execve or execveat; Linux 7 also prints the path, which may hold anything.
fn exec(text: &[u8]) -> Result<Event, BadField> {
    let (_, last) = split_last(text, b"envp: ").ok_or_else(|| bad("envp", text))?;
    let (pointer, flags) = split_first(last, b", ").unwrap_or((last, b""));
    let flags = flags.is_empty()
        || split_last(flags, b"flags: ").is_some_and(|(_, flags)| hexadecimal(flags).is_some());
    (hexadecimal(pointer).is_some() && flags).then_some(Event::Exec).ok_or_else(|| bad("envp", last))
}

/// Whether `text` is one word.
fn is_word(text: &[u8]) -> bool {
    !text.is_empty() && !text.contains(&b' ')
}

fn pid(text: &[u8]) -> Option<u32> {
    let (number, rest) = digits(text)?;
    rest.is_empty().then(|| unsigned(number)?.try_into().ok())?
}
