//! Recordings that never were, as long as is wanted: for checks of what reads recordings.

use std::collections::VecDeque;
use std::fmt::Write;
use std::io::{self, Read};

/// Most tasks at a time.
const TASKS: usize = 24;
/// Fewest tasks at a time.
const FEW: usize = 12;
const FIRST_PID: u32 = 300;
const LAST_PID: u32 = 32_000;

/// ftrace text of programs that fork, call exec, unmap memory, wait for one another and end, on a machine without tags.
#[derive(Debug)]
pub struct Invented {
    left: u64,
    text: String,
    at: usize,
    micros: u64,
    random: u64,
    /// What each CPU runs; 0: nothing.
    running: Vec<u32>,
    ready: VecDeque<u32>,
    last_pid: u32,
}

impl Invented {
    /// Invents a recording of a machine with `cpus` CPUs that ends with the line in which `bytes` are reached; the same
    /// seed gives the same text.
    pub fn new(bytes: u64, cpus: u16, seed: u64) -> Self {
        Self {
            left: bytes,
            text: "# tracer: nop\n".into(),
            at: 0,
            micros: 1_000_000,
            random: seed | 1,
            running: vec![0; usize::from(cpus.max(1))],
            ready: (FIRST_PID..FIRST_PID + FEW as u32).collect(),
            last_pid: FIRST_PID + FEW as u32,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % end
    }

    fn line(&mut self, cpu: usize, event: &str) {
        let pid = self.running[cpu];
        let (seconds, micros) = (self.micros / 1_000_000, self.micros % 1_000_000);
        let written = writeln!(
            self.text,
            "          worker-{pid:<7} [{cpu:03}] d..2. {seconds:6}.{micros:06}: {event}"
        );
        written.expect("text grows");
    }

    fn switch(&mut self, cpu: usize, next: u32) {
        let pid = self.running[cpu];
        let event = format!(
            "sched_switch: prev_comm=worker prev_pid={pid} prev_prio=120 prev_state=S ==> next_comm=worker \
             next_pid={next} next_prio=120"
        );
        self.line(cpu, &event);
        self.running[cpu] = next;
        if next != 0 {
            self.line(cpu, "tlb_flush: pages:0 reason:flush on task switch (0)");
        }
    }

    /// One thing that a program does, on one of the CPUs.
    fn step(&mut self) {
        self.micros += 1 + self.below(40);
        let cpu = self.below(self.running.len() as u64) as usize;
        if self.running[cpu] == 0 {
            let next = self.ready.pop_front().unwrap_or(0);
            return self.switch(cpu, next);
        }
        match self.below(100) {
            0..40 => self.give_way(cpu),
            40..90 => self.unmap(cpu),
            90..94 if self.tasks() < TASKS => self.fork(cpu),
            94..96 => {
                self.line(cpu, "sys_execve(filename: 55d0c0ffee, argv: 55d0c0fff0, envp: 55d0c0fff8)");
                self.line(cpu, "tlb_flush: pages:0 reason:flush on task switch (0)");
            }
            96..100 if self.tasks() > FEW => {
                self.line(cpu, "sched_process_exit: comm=worker pid=1 prio=120");
                let next = self.ready.pop_front().unwrap_or(0);
                self.switch(cpu, next);
            }
            _ => self.give_way(cpu),
        }
    }

    fn tasks(&self) -> usize {
        self.ready.len() + self.running.iter().filter(|pid| **pid != 0).count()
    }

    fn give_way(&mut self, cpu: usize) {
        self.ready.push_back(self.running[cpu]);
        let next = if self.below(3) == 0 { 0 } else { self.ready.pop_front().unwrap_or(0) };
        self.switch(cpu, next);
    }

    fn unmap(&mut self, cpu: usize) {
        let pages = 1 + self.below(4);
        self.line(cpu, &format!("sys_munmap(addr: 7f8bc1409000, len: {:x})", pages << 12));
        let other = self.below(self.running.len() as u64) as usize;
        if other != cpu {
            self.line(cpu, &format!("tlb_flush: pages:{pages} reason:remote ipi send (4)"));
            self.line(other, &format!("tlb_flush: pages:{pages} reason:remote shootdown (1)"));
        }
        self.line(cpu, &format!("tlb_flush: pages:{pages} reason:local mm shootdown (3)"));
    }

    fn fork(&mut self, cpu: usize) {
        // Numbers come round again, as they do; those of tasks that live are passed over.
        let child = loop {
            self.last_pid = if self.last_pid >= LAST_PID { FIRST_PID } else { self.last_pid + 1 };
            if !self.ready.contains(&self.last_pid) && !self.running.contains(&self.last_pid) {
                break self.last_pid;
            }
        };
        if self.below(4) != 0 {
            self.line(cpu, "tlb_flush: pages:-1 reason:local mm shootdown (3)");
        }
        let pid = self.running[cpu];
        let event = format!("sched_process_fork: comm=worker pid={pid} child_comm=worker child_pid={child}");
        self.line(cpu, &event);
        self.ready.push_back(child);
    }
}

impl Read for Invented {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            while self.left > 0 && self.text.len() < 1 << 14 {
                let before = self.text.len();
                self.step();
                self.left = self.left.saturating_sub((self.text.len() - before) as u64);
            }
        }
        let read = bytes.len().min(self.text.len() - self.at);
        bytes[..read].copy_from_slice(&self.text.as_bytes()[self.at..self.at + read]);
        self.at += read;
        Ok(read)
    }
}
