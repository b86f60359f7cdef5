//! Infers which space each task has; a recording does not say.
//!
//! A task that calls the kernel, forks, or was forked by one that does, is a program. Tasks of one thread group share a
//! space, where lines say the group. Else a fork right after a whole flush of the parent copies the space, and any
//! other shares it, as vfork does. exec makes a new one at the switch that follows it.

use super::event::{Event, Reason};
use super::found::Imported;
use super::lines::Stamped;
use crate::trace::format::{Entry, Seen, Writer};
use std::collections::HashMap;
use std::io::{self, Seek, Write};

/// Pages above which Linux on x86 flushes everything; a longer range does not mean that tables go.
const CEILING: u64 = 33;
/// The task that makes kernel threads.
const KTHREADD: u32 = 2;

#[derive(Clone, Copy, Debug, Default)]
struct Task {
    space: u32,
    /// Pages of the last call that changes mappings.
    asked: u64,
    /// Its last event was a flush of everything.
    flushed_all: bool,
    execs: bool,
}

/// What tasks have and CPUs run, and the trace that says so.
pub struct Spaces<W> {
    writer: Writer<W>,
    made: u32,
    by_tgid: u64,
    inferred: u64,
    /// Programs, by pid.
    tasks: HashMap<u32, Task>,
    /// The space of each thread group.
    groups: HashMap<u32, u32>,
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

impl<W: Write + Seek> Spaces<W> {
    pub fn new(writer: Writer<W>) -> Self {
        Self {
            writer,
            made: 0,
            by_tgid: 0,
            inferred: 0,
            tasks: HashMap::new(),
            groups: HashMap::new(),
            users: HashMap::new(),
            loaded: HashMap::new(),
            arriving: HashMap::new(),
            flushing: (0, 0),
            switched: HashMap::new(),
            sent: HashMap::new(),
        }
    }

    /// Ends the trace, and says what was found.
    pub fn finish(self, found: &mut Imported) -> io::Result<()> {
        found.spaces = self.made;
        found.forks_by_tgid = self.by_tgid;
        found.forks_inferred = self.inferred;
        found.bytes = self.writer.finish(found.cpus)?;
        Ok(())
    }

    /// Adds what an event means.
    pub fn add(&mut self, line: &Stamped) -> io::Result<()> {
        let switched = self.switched.remove(&line.cpu) == Some(line.pid);
        self.arrive(line, switched)?;
        match line.event {
            Event::Switch { next } => {
                self.switched.insert(line.cpu, line.pid);
                self.switch(line, next)
            }
            Event::Fork { child, child_tgid } => self.fork(line, child, child_tgid),
            Event::Exit => self.exit(line),
            Event::Flush { pages, reason } => self.flush(line, pages, reason, switched),
            Event::Exec => {
                self.task(line)?.execs = true;
                Ok(())
            }
            Event::Call { pages } => {
                self.task(line)?.asked = pages;
                Ok(())
            }
        }
    }

    fn write(&mut self, line: &Stamped, entry: Entry) -> io::Result<()> {
        self.writer.add(line.micros, line.cpu, entry)
    }

    fn make_space(&mut self, line: &Stamped, tgid: Option<u32>) -> io::Result<u32> {
        let space = self.made;
        self.made += 1;
        self.users.insert(space, 1);
        if let Some(tgid) = tgid {
            self.groups.insert(tgid, space);
        }
        self.write(line, Entry::Create(space))?;
        Ok(space)
    }

    /// The running task, which is a program by what it does.
    fn task(&mut self, line: &Stamped) -> io::Result<&mut Task> {
        if !self.tasks.contains_key(&line.pid) {
            let space = match line.tgid.and_then(|tgid| self.groups.get(&tgid)).copied() {
                Some(space) => {
                    self.share(space);
                    space
                }
                None => self.make_space(line, line.tgid)?,
            };
            self.tasks.insert(line.pid, Task { space, ..Task::default() });
            self.run(line, space)?;
        }
        Ok(self.tasks.entry(line.pid).or_default())
    }

    fn share(&mut self, space: u32) {
        *self.users.entry(space).or_default() += 1;
    }

    fn run(&mut self, line: &Stamped, space: u32) -> io::Result<()> {
        self.loaded.insert(line.cpu, space);
        self.write(line, Entry::Run(space))
    }

    fn switch(&mut self, line: &Stamped, next: u32) -> io::Result<()> {
        self.settle(line.cpu)?;
        match self.tasks.get(&next).map(|task| task.space) {
            Some(space) if self.loaded.get(&line.cpu) != Some(&space) => {
                self.arriving.insert(line.cpu, space);
                if self.has_no_tags() { Ok(()) } else { self.run(line, space) }
            }
            Some(space) => self.run(line, space),
            None if next == 0 => self.write(line, Entry::Idle),
            None => self.write(line, Entry::Kernel),
        }
    }

    /// Whether this kernel runs without tags, and so flushes whenever it loads another space.
    fn has_no_tags(&self) -> bool {
        let (followed, not) = self.flushing;
        followed > 20 && followed > 20 * not
    }

    /// Looks at what follows a switch to a program of another space. Without a flush none was loaded: the task is on
    /// its way out and has no memory any more.
    fn arrive(&mut self, line: &Stamped, switched: bool) -> io::Result<()> {
        let Some(space) = self.arriving.remove(&line.cpu) else { return Ok(()) };
        let flushed = matches!(line.event, Event::Flush { reason: Reason::TaskSwitch, .. });
        let followed = switched && flushed;
        let waited = self.has_no_tags() && self.loaded.get(&line.cpu) != Some(&space);
        self.flushing.0 += u64::from(followed);
        self.flushing.1 += u64::from(!followed);
        match (waited, followed) {
            (true, true) => self.run(line, space),
            (true, false) => self.write(line, Entry::Kernel),
            (false, _) => Ok(()),
        }
    }

    fn fork(&mut self, line: &Stamped, child: u32, child_tgid: Option<u32>) -> io::Result<()> {
        self.settle(line.cpu)?;
        if line.pid == KTHREADD {
            return Ok(());
        }
        let parent = *self.task(line)?;
        let groups = line.tgid.zip(child_tgid);
        self.by_tgid += u64::from(groups.is_some());
        self.inferred += u64::from(groups.is_none());
        let is_thread = groups.is_some_and(|(parent, child)| parent == child);
        let space = if parent.flushed_all && !is_thread {
            self.make_space(line, child_tgid)?
        } else {
            self.share(parent.space);
            child_tgid.map(|tgid| self.groups.insert(tgid, parent.space));
            parent.space
        };
        self.tasks.insert(child, Task { space, ..Task::default() });
        Ok(())
    }

    /// A task gives up its space; the last one ends it.
    fn give_up(&mut self, line: &Stamped, space: u32) -> io::Result<()> {
        let users = self.users.entry(space).or_insert(1);
        *users -= 1;
        if *users > 0 {
            return Ok(());
        }
        self.users.remove(&space);
        if let Some(tgid) = line.tgid.filter(|tgid| self.groups.get(tgid) == Some(&space)) {
            self.groups.remove(&tgid);
        }
        self.write(line, Entry::Exit(space))
    }

    fn exit(&mut self, line: &Stamped) -> io::Result<()> {
        self.sent.remove(&line.cpu);
        match self.tasks.remove(&line.pid) {
            Some(task) => self.give_up(line, task.space),
            None => Ok(()),
        }
    }

    fn exec(&mut self, line: &Stamped) -> io::Result<()> {
        let old = self.task(line)?.space;
        self.give_up(line, old)?;
        let space = self.make_space(line, line.tgid)?;
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

    /// A root was loaded, and not by the scheduler: a program that calls exec has its new space, or the last one of a
    /// space tears it down (being lazy on it by then, it leaves).
    fn left(&mut self, line: &Stamped) -> io::Result<()> {
        match self.tasks.get(&line.pid).copied() {
            Some(task) if task.execs => self.exec(line),
            Some(task) if self.users.get(&task.space) == Some(&1) => self.exit(line),
            _ => Ok(()),
        }
    }

    fn flush(
        &mut self,
        line: &Stamped,
        pages: Option<u32>,
        reason: Reason,
        switched: bool,
    ) -> io::Result<()> {
        match reason {
            Reason::TaskSwitch => {
                self.write(line, Entry::Seen(Seen::Switch))?;
                if switched { Ok(()) } else { self.left(line) }
            }
            Reason::RemoteShootdown => self.write(line, Entry::Seen(Seen::RemoteShootdown)),
            Reason::WrongCpu => self.write(line, Entry::Seen(Seen::WrongCpu)),
            Reason::LocalMm => {
                self.write(line, Entry::Seen(Seen::Local))?;
                let flush = self.requested(line, pages)?;
                self.sent.remove(&line.cpu);
                self.write(line, flush)
            }
            Reason::RemoteSend => {
                self.settle(line.cpu)?;
                self.write(line, Entry::Seen(Seen::RemoteSend))?;
                let flush = self.requested(line, pages)?;
                self.sent.insert(line.cpu, (line.micros, flush));
                Ok(())
            }
        }
    }

    fn requested(&mut self, line: &Stamped, pages: Option<u32>) -> io::Result<Entry> {
        let space = match self.tasks.contains_key(&line.pid) || line.pid == 0 {
            false if !self.loaded.contains_key(&line.cpu) => self.task(line)?.space,
            _ => self
                .tasks
                .get(&line.pid)
                .map_or(self.loaded.get(&line.cpu).copied().unwrap_or(0), |t| t.space),
        };
        let mut long = false;
        if let Some(task) = self.tasks.get_mut(&line.pid) {
            task.flushed_all = pages.is_none();
            long = task.asked > CEILING;
        }
        Ok(Entry::Flush { pages: pages.unwrap_or(0), tables: pages.is_none() && !long, space })
    }
}
