//! Reads ftrace's text.
//!
//! A trace does not say which memory a task has. It is inferred: a task that calls the kernel, forks, or was forked by one
//! that does, is a program; a fork right after a whole flush of the parent copies the space, any other shares it; exec
//! makes a new one at the switch that follows it.

use super::format::{Entry, LAST_MICROS, Seen, Writer};
use crate::machine::MAX_CPUS;
use std::collections::HashMap;
use std::io::{self, BufRead, Seek, Write};

/// Pages above which Linux on x86 flushes everything; a longer range does not mean that tables go.
const CEILING: u64 = 33;

/// What was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Lines read.
    pub lines: u64,
    /// Lines that are neither comments nor known events.
    pub skipped: u64,
    /// CPUs.
    pub cpus: u16,
    /// Spaces.
    pub spaces: u32,
    /// Bytes written.
    pub bytes: u64,
}

/// Reads ftrace text from `input` and writes a trace; `progress` is told of the bytes read.
///
/// # Errors
/// Input that cannot be read or output that cannot be written.
pub fn import(
    mut input: impl BufRead,
    out: impl Write + Seek,
    mut progress: impl FnMut(u64),
) -> io::Result<Imported> {
    let mut importer = Importer {
        writer: Writer::new(out)?,
        found: Imported::default(),
        tasks: HashMap::new(),
        users: HashMap::new(),
        loaded: HashMap::new(),
        arriving: HashMap::new(),
        flushing: (0, 0),
        switched: HashMap::new(),
        sent: HashMap::new(),
    };
    let mut line = Vec::new();
    let mut bytes = 0;
    loop {
        line.clear();
        let read = input.read_until(b'\n', &mut line)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        importer.found.lines += 1;
        if importer.found.lines % 4096 == 0 {
            progress(bytes);
        }
        importer.line(&String::from_utf8_lossy(&line))?;
    }
    progress(bytes);
    let mut found = importer.found;
    found.cpus = found.cpus.max(1);
    found.bytes = importer.writer.finish(found.cpus)?;
    Ok(found)
}

/// One line, taken apart.
struct Line<'a> {
    pid: u32,
    cpu: u16,
    micros: u64,
    event: &'a str,
    rest: &'a str,
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        // Commands may contain anything; the CPU in brackets follows the last `)` before it, or the pid.
        let open = line.find(" [").filter(|_| !line.starts_with('#'))?;
        let (task, after) = (&line[..open], &line[open + 2..]);
        let (cpu, after) = after.split_once(']')?;
        let task = task.split(" (").next()?.trim();
        let pid = task.rsplit_once('-')?.1.trim().parse().ok()?;
        let mut words = after.trim_start().splitn(3, char::is_whitespace);
        let _flags = words.next()?;
        let (time, rest) =
            words.next().map(str::trim).zip(words.next()).filter(|(time, _)| !time.is_empty()).or_else(
                || {
                    let after = after.trim_start().split_once(char::is_whitespace)?.1.trim_start();
                    after.split_once(char::is_whitespace)
                },
            )?;
        let (seconds, micros) = time.strip_suffix(':')?.split_once('.')?;
        let seconds = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?;
        let micros = seconds.checked_add(micros.get(..6)?.parse::<u64>().ok()?)?;
        let rest = rest.trim();
        let end = rest.find([':', '('])?;
        let cpu: u16 = cpu.parse().ok()?;
        // Neither is one of a machine that can be replayed.
        if usize::from(cpu) >= MAX_CPUS || micros > LAST_MICROS {
            return None;
        }
        Some(Self { pid, cpu, micros, event: &rest[..end], rest: rest[end + 1..].trim() })
    }

    /// The number after `name`, which ends in `:` or `=`.
    fn number(&self, name: &str, radix: u32) -> Option<i64> {
        let at = self.rest.find(name)? + name.len();
        let text = self.rest[at..].trim_start().split([' ', ',', ')']).next()?;
        i64::from_str_radix(text, radix).ok()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Task {
    space: u32,
    /// Pages of the last call that changes mappings.
    asked: u64,
    /// Its last event was a flush of everything.
    flushed_all: bool,
    execs: bool,
}

struct Importer<W> {
    writer: Writer<W>,
    found: Imported,
    /// Programs, by pid.
    tasks: HashMap<u32, Task>,
    /// How many tasks a space has.
    users: HashMap<u32, u32>,
    /// The space that each CPU has loaded.
    loaded: HashMap<u16, u32>,
    /// CPUs that have switched to a program of this space, if their next event says that they flushed.
    arriving: HashMap<u16, u32>,
    /// Switches to another space that were followed by a flush, and that were not.
    flushing: (u64, u64),
    /// CPUs whose last event was a switch, and the task that they left: what the switch flushes is put down to it.
    switched: HashMap<u16, u32>,
    /// CPUs that have said that they turn to others, and not yet what they flush themselves.
    sent: HashMap<u16, (u64, Entry)>,
}

impl<W: Write + Seek> Importer<W> {
    fn line(&mut self, text: &str) -> io::Result<()> {
        let Some(line) = Line::parse(text) else {
            self.found.skipped += u64::from(!text.starts_with('#') && !text.trim().is_empty());
            return Ok(());
        };
        self.found.cpus = self.found.cpus.max(line.cpu + 1);
        let switched = self.switched.remove(&line.cpu) == Some(line.pid);
        self.arrive(&line, switched)?;
        match line.event {
            "sched_switch" => {
                self.switched.insert(line.cpu, line.pid);
                return self.switch(&line);
            }
            "sched_process_fork" => return self.fork(&line),
            "sched_process_exit" => return self.exit(&line),
            "tlb_flush" => return self.flush(&line, switched),
            "sys_execve" => self.task(&line)?.execs = true,
            "sys_munmap" => self.task(&line)?.asked = pages(&line, "len:"),
            "sys_mprotect" => self.task(&line)?.asked = pages(&line, "len:"),
            "sys_madvise" => self.task(&line)?.asked = pages(&line, "len_in:"),
            "sys_mremap" => self.task(&line)?.asked = pages(&line, "old_len:"),
            _ => self.found.skipped += 1,
        }
        Ok(())
    }

    fn add(&mut self, line: &Line<'_>, entry: Entry) -> io::Result<()> {
        self.writer.add(line.micros, line.cpu, entry)
    }

    fn make_space(&mut self, line: &Line<'_>) -> io::Result<u32> {
        let space = self.found.spaces;
        self.found.spaces += 1;
        self.users.insert(space, 1);
        self.add(line, Entry::Create(space))?;
        Ok(space)
    }

    /// The running task, which is a program by what it does.
    fn task(&mut self, line: &Line<'_>) -> io::Result<&mut Task> {
        if !self.tasks.contains_key(&line.pid) {
            let space = self.make_space(line)?;
            self.tasks.insert(line.pid, Task { space, ..Task::default() });
            self.run(line, space)?;
        }
        Ok(self.tasks.entry(line.pid).or_default())
    }

    fn run(&mut self, line: &Line<'_>, space: u32) -> io::Result<()> {
        self.loaded.insert(line.cpu, space);
        self.add(line, Entry::Run(space))
    }

    fn switch(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.settle(line.cpu)?;
        let next = line.number("next_pid=", 10).unwrap_or(0) as u32;
        match self.tasks.get(&next).map(|task| task.space) {
            Some(space) if self.loaded.get(&line.cpu) != Some(&space) => {
                self.arriving.insert(line.cpu, space);
                if self.has_no_tags() { Ok(()) } else { self.run(line, space) }
            }
            Some(space) => self.run(line, space),
            None if next == 0 => self.add(line, Entry::Idle),
            None => self.add(line, Entry::Kernel),
        }
    }

    /// Whether this kernel runs without tags, and so flushes whenever it loads another space.
    fn has_no_tags(&self) -> bool {
        let (followed, not) = self.flushing;
        followed > 20 && followed > 20 * not
    }

    /// Looks at what follows a switch to a program of another space. Without a flush none was loaded: the task is on its
    /// way out and has no memory any more.
    fn arrive(&mut self, line: &Line<'_>, switched: bool) -> io::Result<()> {
        let Some(space) = self.arriving.remove(&line.cpu) else { return Ok(()) };
        let followed = switched && line.event == "tlb_flush" && line.rest.ends_with("(0)");
        let waited = self.has_no_tags() && self.loaded.get(&line.cpu) != Some(&space);
        self.flushing.0 += u64::from(followed);
        self.flushing.1 += u64::from(!followed);
        match (waited, followed) {
            (true, true) => self.run(line, space),
            (true, false) => self.add(line, Entry::Kernel),
            (false, _) => Ok(()),
        }
    }

    fn fork(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.settle(line.cpu)?;
        let Some(child) = line.number("child_pid=", 10).filter(|_| line.pid != 2) else { return Ok(()) };
        let parent = *self.task(line)?;
        let space = if parent.flushed_all { self.make_space(line)? } else { parent.space };
        if space == parent.space {
            *self.users.entry(space).or_default() += 1;
        }
        self.tasks.insert(child as u32, Task { space, ..Task::default() });
        Ok(())
    }

    /// A task gives up its space; the last one ends it.
    fn give_up(&mut self, line: &Line<'_>, space: u32) -> io::Result<()> {
        let users = self.users.entry(space).or_insert(1);
        *users -= 1;
        if *users > 0 {
            return Ok(());
        }
        self.users.remove(&space);
        self.add(line, Entry::Exit(space))
    }

    fn exit(&mut self, line: &Line<'_>) -> io::Result<()> {
        self.sent.remove(&line.cpu);
        match self.tasks.remove(&line.pid) {
            Some(task) => self.give_up(line, task.space),
            None => Ok(()),
        }
    }

    fn exec(&mut self, line: &Line<'_>) -> io::Result<()> {
        let old = self.task(line)?.space;
        self.give_up(line, old)?;
        let space = self.make_space(line)?;
        self.tasks.insert(line.pid, Task { space, ..Task::default() });
        self.run(line, space)
    }

    /// Lets go of a send that no local flush followed: the initiator did not have the space loaded.
    fn settle(&mut self, cpu: u16) -> io::Result<()> {
        match self.sent.remove(&cpu) {
            Some((micros, flush)) => self.writer.add(micros, cpu, flush),
            None => Ok(()),
        }
    }

    /// A root was loaded, and not by the scheduler: a program that calls exec has its new space, or the last one of a space
    /// tears it down (being lazy on it by then, it leaves).
    fn left(&mut self, line: &Line<'_>) -> io::Result<()> {
        match self.tasks.get(&line.pid).copied() {
            Some(task) if task.execs => self.exec(line),
            Some(task) if self.users.get(&task.space) == Some(&1) => self.exit(line),
            _ => Ok(()),
        }
    }

    fn flush(&mut self, line: &Line<'_>, switched: bool) -> io::Result<()> {
        let reason = line.rest.rsplit_once('(').and_then(|(_, reason)| reason.strip_suffix(')'));
        let pages = line.number("pages:", 10).unwrap_or(-1);
        match reason {
            Some("0") => {
                self.add(line, Entry::Seen(Seen::Switch))?;
                if switched { Ok(()) } else { self.left(line) }
            }
            Some("1") => self.add(line, Entry::Seen(Seen::RemoteShootdown)),
            Some("3") => {
                self.add(line, Entry::Seen(Seen::Local))?;
                let flush = self.requested(line, pages)?;
                self.sent.remove(&line.cpu);
                self.add(line, flush)
            }
            Some("4") => {
                self.settle(line.cpu)?;
                self.add(line, Entry::Seen(Seen::RemoteSend))?;
                let flush = self.requested(line, pages)?;
                self.sent.insert(line.cpu, (line.micros, flush));
                Ok(())
            }
            _ => {
                self.found.skipped += 1;
                Ok(())
            }
        }
    }

    fn requested(&mut self, line: &Line<'_>, pages: i64) -> io::Result<Entry> {
        let space = match self.tasks.contains_key(&line.pid) || line.pid == 0 {
            false if !self.loaded.contains_key(&line.cpu) => self.task(line)?.space,
            _ => self
                .tasks
                .get(&line.pid)
                .map_or(self.loaded.get(&line.cpu).copied().unwrap_or(0), |t| t.space),
        };
        let all = pages < 0;
        let mut long = false;
        if let Some(task) = self.tasks.get_mut(&line.pid) {
            task.flushed_all = all;
            long = task.asked > CEILING;
        }
        Ok(Entry::Flush { pages: if all { 0 } else { pages as u32 }, tables: all && !long, space })
    }
}

fn pages(line: &Line<'_>, name: &str) -> u64 {
    line.number(name, 16).map_or(0, |bytes| bytes as u64 >> 12)
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn lines_with_any_command_are_taken_apart() {
        let text = "   kworker/u8:1-42 (     42) [003] d..2.   184.657788: sched_switch: prev_comm=a b [0] \
                    prev_pid=42 ==> next_comm=thr next_pid=587 next_prio=120\n";
        let line = Line::parse(text).expect("a line");
        assert_eq!((line.pid, line.cpu, line.micros), (42, 3, 184_657_788));
        assert_eq!((line.event, line.number("next_pid=", 10)), ("sched_switch", Some(587)));
        let text = "  <idle>-0       (-------) [001] d.h1.   1.000001: tlb_flush: pages:-1 reason:remote shootdown (1)\n";
        let line = Line::parse(text).expect("a line");
        assert_eq!((line.event, line.number("pages:", 10)), ("tlb_flush", Some(-1)));
        let text = " thr-593 ( 587) [001] ...1.   184.870147: sys_munmap(addr: 7f8bc1409000, len: 25000)\n";
        let line = Line::parse(text).expect("a line");
        assert_eq!((line.event, line.number("len:", 16)), ("sys_munmap", Some(0x25000)));
        assert!(Line::parse("# tracer: nop\n").is_none());
        assert!(Line::parse("garbage\n").is_none());
    }
}
