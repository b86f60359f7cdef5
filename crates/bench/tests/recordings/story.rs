//! A short recording that never was, and how each tracer prints it.

use std::io::Write;

/// A task.
#[derive(Clone, Debug)]
pub struct Task {
    pub name: Vec<u8>,
    pub pid: u32,
    pub tgid: u32,
}

/// What happens.
#[derive(Clone, Copy, Debug)]
pub enum What {
    Switch(usize),
    Fork(usize),
    Exit,
    Flush(i64, u8),
    Exec,
    Munmap(u64),
    Mprotect(u64),
    Madvise(u64),
    Mremap(u64),
}

/// When, where and to whom.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub micros: u64,
    pub cpu: u32,
    pub task: usize,
    pub what: What,
}

/// A recording.
#[derive(Clone, Debug)]
pub struct Story {
    pub tasks: Vec<Task>,
    pub steps: Vec<Step>,
}

/// A program of three threads unmaps memory on three CPUs; `name` is what it is called.
pub fn story(name: &[u8]) -> Story {
    let task = |name: &[u8], pid, tgid| Task { name: name.to_vec(), pid, tgid };
    let tasks = vec![
        task(b"swapper/0", 0, 0),
        task(b"sh", 70, 70),
        task(name, 1_234_567, 1_234_567),
        task(name, 1_234_568, 1_234_567),
        task(name, 1_234_569, 1_234_567),
    ];
    use What::*;
    let steps = [
        (0, 1, Flush(-1, 3)),
        (0, 1, Fork(2)),
        (1, 0, Switch(2)),
        (1, 0, Flush(-1, 0)),
        (1, 2, Exec),
        (1, 2, Flush(-1, 0)),
        (1, 2, Mprotect(0x80_0000)),
        (1, 2, Flush(-1, 3)),
        (1, 2, Fork(3)),
        (1, 2, Mremap(0x2000)),
        (2, 0, Switch(3)),
        (2, 0, Flush(-1, 0)),
        (1, 2, Flush(-1, 3)),
        (1, 2, Fork(4)),
        (3, 0, Switch(4)),
        (3, 0, Flush(-1, 0)),
        (2, 3, Munmap(0x3000)),
        (2, 3, Flush(3, 4)),
        (2, 3, Flush(3, 3)),
        (1, 2, Flush(3, 1)),
        (3, 4, Flush(0, 5)),
        (3, 4, Madvise(0x7f_c000)),
        (3, 4, Flush(-1, 4)),
        (3, 4, Flush(-1, 3)),
        (2, 3, Switch(0)),
        (1, 2, Flush(-1, 1)),
        (3, 4, Exit),
        (3, 4, Switch(0)),
        (1, 2, Exit),
        (1, 2, Switch(1)),
    ];
    let steps = steps.into_iter().enumerate();
    let steps =
        steps.map(|(at, (cpu, task, what))| Step { micros: 5_000_123 + 37 * at as u64, cpu, task, what });
    Story { tasks, steps: steps.collect() }
}

/// How a story is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    pub name: &'static str,
    pub tool: Tool,
    pub tgid: bool,
    pub flags: &'static str,
    pub clock: Clock,
    /// What stands before each line.
    pub prefix: &'static str,
    pub end: &'static str,
    /// libtraceevent's plugins, or the hexadecimal numbers of a newer kernel.
    pub variant: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    Tracefs,
    Latency,
    TraceCmd,
    TraceCmdLatency,
    Perf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Micros,
    Nanos,
    SinceStart,
    /// A million a second.
    Ticks,
    /// With the difference from the line before.
    Difference,
}

const TRACEFS: Dialect = Dialect {
    name: "tracefs",
    tool: Tool::Tracefs,
    tgid: true,
    flags: "d..2.",
    clock: Clock::Micros,
    prefix: "",
    end: "\n",
    variant: false,
};
const TRACE_CMD: Dialect = Dialect { name: "trace-cmd", tool: Tool::TraceCmd, tgid: false, ..TRACEFS };
const PERF: Dialect = Dialect { name: "perf", tool: Tool::Perf, tgid: false, flags: "", ..TRACEFS };

/// The ways of printing that are read.
pub const DIALECTS: [Dialect; 23] = [
    TRACEFS,
    Dialect { name: "numbers with 0x", variant: true, ..TRACEFS },
    Dialect { name: "no record-tgid", tgid: false, ..TRACEFS },
    Dialect { name: "no irq-info", flags: "", ..TRACEFS },
    Dialect { name: "no irq-info, no record-tgid", tgid: false, flags: "", ..TRACEFS },
    Dialect { name: "flags of four", flags: "d..2", ..TRACEFS },
    Dialect { name: "flags of PREEMPT_RT", flags: "d..h211", ..TRACEFS },
    Dialect { name: "x86-tsc", clock: Clock::Ticks, ..TRACEFS },
    Dialect { name: "x86-tsc without irq-info", clock: Clock::Ticks, flags: "", ..TRACEFS },
    Dialect { name: "CRLF", end: "\r\n", ..TRACEFS },
    Dialect { name: "kernel log", prefix: "[  123.456789] ", ..TRACEFS },
    Dialect { name: "kernel log with caller", prefix: "<4>[  123.456789][    T1] ", ..TRACEFS },
    Dialect { name: "latency-format", tool: Tool::Latency, tgid: false, clock: Clock::SinceStart, ..TRACEFS },
    Dialect {
        name: "ftrace_dump",
        tool: Tool::Latency,
        tgid: false,
        clock: Clock::SinceStart,
        prefix: "[  123.456789] ",
        ..TRACEFS
    },
    TRACE_CMD,
    Dialect { name: "trace-cmd 3.1 with plugins", flags: "", variant: true, ..TRACE_CMD },
    Dialect { name: "trace-cmd -t", clock: Clock::Nanos, ..TRACE_CMD },
    Dialect { name: "trace-cmd --ts-diff", clock: Clock::Difference, ..TRACE_CMD },
    Dialect { name: "trace-cmd -l", tool: Tool::TraceCmdLatency, ..TRACE_CMD },
    Dialect { name: "trace-cmd, x86-tsc", clock: Clock::Ticks, ..TRACE_CMD },
    PERF,
    Dialect { name: "perf -F +pid", tgid: true, ..PERF },
    Dialect { name: "perf --ns with plugins", clock: Clock::Nanos, variant: true, ..PERF },
];

impl Dialect {
    /// Prints a story, a line a step.
    pub fn print(&self, story: &Story) -> Vec<Vec<u8>> {
        story.steps.iter().map(|step| self.line(story, step)).collect()
    }

    /// Prints a step.
    pub fn line(&self, story: &Story, step: &Step) -> Vec<u8> {
        let mut line = self.prefix.as_bytes().to_vec();
        self.context(&mut line, &story.tasks[step.task], step);
        self.event(&mut line, story, step);
        line.extend(self.end.as_bytes());
        line
    }

    fn context(&self, out: &mut Vec<u8>, task: &Task, step: &Step) {
        let name: &[u8] = if task.pid == 0 && self.tool != Tool::Perf { b"<idle>" } else { &task.name };
        let (width, name) = match self.tool {
            Tool::Latency | Tool::TraceCmdLatency => (8, &name[..name.len().min(8)]),
            _ => (16, name),
        };
        out.extend(std::iter::repeat_n(b' ', width - name.len()));
        out.extend(name);
        let (pid, cpu) = (task.pid, step.cpu);
        let context = match self.tool {
            Tool::Latency | Tool::TraceCmdLatency => format!("-{pid:<7} {cpu:3}{}", self.flags),
            Tool::Perf if self.tgid => format!(" {:5}/{pid:<5} [{cpu:03}]", task.tgid),
            Tool::Perf => format!(" {pid:5} [{cpu:03}]"),
            _ => {
                let group = match (self.tgid, pid) {
                    (false, _) => String::new(),
                    (true, 0) => "(-------) ".into(),
                    (true, _) => format!("({:7}) ", task.tgid),
                };
                let space = if self.flags.is_empty() { "" } else { " " };
                format!("-{pid:<7} {group}[{cpu:03}]{space}{}", self.flags)
            }
        };
        out.extend(context.as_bytes());
        let (whole, part) = (step.micros / 1_000_000, step.micros % 1_000_000);
        let time = match self.clock {
            Clock::Micros => format!(" {whole:5}.{part:06}: "),
            Clock::Nanos => format!(" {whole:5}.{part:06}789: "),
            Clock::Difference => format!(" {whole:5}.{part:06}: (+37)    "),
            Clock::SinceStart => format!(" {:4}us+: ", step.micros),
            // trace-cmd leaves no space where twelve columns are full.
            Clock::Ticks if self.tool == Tool::TraceCmd => format!("{:012}: ", step.micros),
            Clock::Ticks => format!(" {:12}: ", step.micros),
        };
        out.extend(time.as_bytes());
    }

    fn event(&self, out: &mut Vec<u8>, story: &Story, step: &Step) {
        let is_kernel = matches!(self.tool, Tool::Tracefs | Tool::Latency);
        let (task, mut fields) = (&story.tasks[step.task], Vec::new());
        let (system, name) = match step.what {
            What::Switch(next) => {
                self.switch(&mut fields, task, &story.tasks[next]);
                ("sched", "sched_switch")
            }
            What::Fork(child) => {
                fields.extend(b"comm=");
                fields.extend(&task.name);
                write!(fields, " pid={} child_comm=", task.pid).expect("memory");
                fields.extend(&story.tasks[child].name);
                write!(fields, " child_pid={}", story.tasks[child].pid).expect("memory");
                ("sched", "sched_process_fork")
            }
            What::Exit => {
                fields.extend(b"comm=");
                fields.extend(&task.name);
                let dead = if self.variant { " group_dead=true" } else { "" };
                write!(fields, " pid={} prio=120{dead}", task.pid).expect("memory");
                ("sched", "sched_process_exit")
            }
            What::Flush(pages, reason) => {
                fields.extend(self.flush(pages, reason).as_bytes());
                ("tlb", "tlb_flush")
            }
            call => {
                let (name, arguments) = self.call(call);
                if is_kernel {
                    out.extend(format!("sys_{}({arguments})", &name["sys_enter_".len()..]).as_bytes());
                    return;
                }
                fields.extend(arguments.as_bytes());
                ("syscalls", name)
            }
        };
        let head = match self.tool {
            Tool::Perf => format!("{:>28} ", format!("{system}:{name}:")),
            Tool::TraceCmd | Tool::TraceCmdLatency => format!("{:<22}", format!("{name}:")),
            _ => format!("{name}: "),
        };
        out.extend(head.as_bytes());
        out.extend(fields);
    }

    fn switch(&self, out: &mut Vec<u8>, task: &Task, next: &Task) {
        let mut put = |text: &[u8]| out.extend(text);
        if self.variant && !matches!(self.tool, Tool::Tracefs | Tool::Latency) {
            put(&task.name);
            put(format!(":{} [120] S ==> ", task.pid).as_bytes());
            put(&next.name);
            return put(format!(":{} [120]", next.pid).as_bytes());
        }
        put(b"prev_comm=");
        put(&task.name);
        put(format!(" prev_pid={} prev_prio=120 prev_state=R+ ==> next_comm=", task.pid).as_bytes());
        put(&next.name);
        put(format!(" next_pid={} next_prio=-5", next.pid).as_bytes());
    }

    fn flush(&self, pages: i64, reason: u8) -> String {
        let words = match (reason, self.variant) {
            (0, _) => "flush on task switch",
            (1, _) => "remote shootdown",
            (3, false) => "local mm shootdown",
            (3, true) => "local MM shootdown",
            (4, false) => "remote ipi send",
            // A plugin that is older than the reason has no words; the kernel prints the number of one that it forgot.
            (4, true) => "",
            (_, true) => "remote wrong CPU",
            (_, false) => "0x5",
        };
        match self.variant && self.tool != Tool::Tracefs {
            true => format!("pages={pages} reason={words} ({reason})"),
            false => format!("pages:{pages} reason:{words} ({reason})"),
        }
    }

    fn call(&self, call: What) -> (&'static str, String) {
        let is_kernel = matches!(self.tool, Tool::Tracefs | Tool::Latency);
        let number = |value: u64| match (is_kernel, self.variant) {
            (true, false) => format!("{value:x}"),
            (true, true) if value < 10 => format!("{value}"),
            (true, true) => format!("{value:#x}"),
            (false, _) => format!("{value:#010x}"),
        };
        let (at, zero) = (number(0x7f8b_c140_9000), number(0));
        match call {
            What::Munmap(bytes) => ("sys_enter_munmap", format!("addr: {at}, len: {}", number(bytes))),
            What::Mprotect(bytes) => {
                ("sys_enter_mprotect", format!("start: {at}, len: {}, prot: {zero}", number(bytes)))
            }
            What::Madvise(bytes) => {
                ("sys_enter_madvise", format!("start: {at}, len_in: {}, behavior: {zero}", number(bytes)))
            }
            What::Mremap(bytes) => {
                let old = number(bytes);
                let rest = format!("new_len: {at}, flags: {zero}, new_addr: {zero}");
                ("sys_enter_mremap", format!("addr: {at}, old_len: {old}, {rest}"))
            }
            _ => {
                let path = if self.variant { " \"/bin/a, envp: 1\"" } else { "" };
                ("sys_enter_execve", format!("filename: {at}{path}, argv: {at}, envp: {at}"))
            }
        }
    }
}
