//! Running QEMU, and following what the kernel in it reports.

use serde_json::Value;
#[cfg(unix)]
use std::io::Write;
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::machine::Machine;
use super::own_time::OwnTime;
use super::plan::Plan;
use super::report::{Row, Verdict, tell};
use super::symbols::Symbols;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::progress::Line;
use crate::threads::spawn;

/// How much less time a machine has where a rule is missing, and something was found already: the rest is consequences.
const FOUND: u32 = 12;
/// The same where a rule is missing and nothing was found yet: a hang may be what is to be shown.
const BROKEN: u32 = 6;
/// How long this host may keep a machine from running, beyond what the machine may take for itself.
const STALLED: Duration = Duration::from_secs(600);

/// Makes sure that QEMU is there.
///
/// # Errors
/// It is not.
pub fn find(machine: &Machine) -> Result<(), Failure> {
    let started =
        Command::new(machine.program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    match started {
        Ok(status) if status.success() => Ok(()),
        _ => Err(Failure::bad_input(
            format!("{} is missing", machine.program),
            format!("install it: apt-get install -y --no-install-recommends {}", machine.package),
        )),
    }
}

/// Boots `image` and runs the plan's scenarios; tells `show` of each as it ends.
///
/// # Errors
/// QEMU cannot be started, or `show` fails.
pub fn run(
    machine: &'static Machine,
    image: &Path,
    plan: &Plan,
    plugin: Option<&str>,
    interrupt: &Interrupt,
    show: &mut dyn FnMut(&Row) -> Result<(), Failure>,
) -> Result<Vec<Row>, Failure> {
    let files = tempfile::tempdir()?;
    let (parameters, monitor) = (files.path().join("parameters"), files.path().join("monitor"));
    // One page, which ends with zeros.
    let mut page = plan.parameters().into_bytes();
    page.resize(4096, 0);
    std::fs::write(&parameters, page)?;
    let mut command = command(machine, image, plan, &parameters, &monitor);
    if let Some(plugin) = plugin {
        command.args(["-plugin", plugin]);
    }
    let mut child = command.spawn().map_err(|error| {
        Failure::bad_input(format!("{} does not start: {error}", machine.program), "see above")
    })?;
    let rows = follow(&mut child).and_then(|lines| {
        let mut time = OwnTime::of(child.id());
        Guest::new(machine, plan, image).watch(&lines, &monitor, &mut time, interrupt, show)
    });
    if plugin.is_some() {
        wait_a_little(&mut child);
    }
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
    rows
}

/// Lets a machine that has ended its work write what its plugin has counted.
fn wait_a_little(child: &mut Child) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(20) && matches!(child.try_wait(), Ok(None)) {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn command(machine: &Machine, image: &Path, plan: &Plan, parameters: &Path, monitor: &Path) -> Command {
    let mut command = Command::new(machine.program);
    command.args(machine.arguments);
    command.args([
        "-m",
        "256M",
        "-display",
        "none",
        "-no-reboot",
        "-serial",
        "stdio",
        "-smp",
        &plan.cpus.to_string(),
    ]);
    command.args(["-accel", if plan.one_thread { "tcg,thread=single" } else { "tcg,thread=multi" }]);
    command.arg("-monitor").arg(format!("unix:{},server,nowait", monitor.display()));
    command.arg("-device");
    let (file, address) = (parameters.display(), machine.parameters);
    command.arg(format!("loader,file={file},addr={address:#x},force-raw=on"));
    command.arg("-kernel").arg(image);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Sends each line of what QEMU writes.
fn follow(child: &mut Child) -> Result<Receiver<String>, Failure> {
    let (sender, receiver) = mpsc::channel();
    let out = child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>);
    let errors = child.stderr.take().map(|errors| Box::new(errors) as Box<dyn Read + Send>);
    for stream in [out, errors].into_iter().flatten() {
        let sender = sender.clone();
        let send = move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        };
        spawn(send)?;
    }
    Ok(receiver)
}

/// The state of a running kernel, as far as it has reported.
struct Guest<'a> {
    machine: &'static Machine,
    plan: &'a Plan,
    image: &'a Path,
    rows: Vec<Row>,
    /// The scenario that runs, and what it found so far.
    running: Option<Row>,
    /// What was written that is no report: shown if things go wrong.
    other: Vec<String>,
    panicked: bool,
    ended: bool,
}

impl<'a> Guest<'a> {
    fn new(machine: &'static Machine, plan: &'a Plan, image: &'a Path) -> Self {
        let (rows, other) = (Vec::new(), Vec::new());
        Self { machine, plan, image, rows, running: None, other, panicked: false, ended: false }
    }

    fn watch(
        &mut self,
        lines: &Receiver<String>,
        monitor: &Path,
        time: &mut OwnTime,
        interrupt: &Interrupt,
        show: &mut dyn FnMut(&Row) -> Result<(), Failure>,
    ) -> Result<Vec<Row>, Failure> {
        let progress = Line::start(self.machine.name);
        let mut shown = 0;
        while !self.ended && !interrupt.came() {
            match lines.recv_timeout(Duration::from_millis(100)) {
                Ok(line) => {
                    time.report();
                    if let Some(row) = self.take(&line) {
                        show(&row)?;
                        shown += 1;
                        self.rows.push(row);
                    }
                    progress.say(&self.progress());
                }
                Err(RecvTimeoutError::Timeout) if time.silent() > self.patience() => {
                    let states = self.cpu_states(monitor);
                    self.stop(if self.panicked { Verdict::Panic } else { Verdict::Hang }, states);
                }
                Err(RecvTimeoutError::Timeout) if time.waited() > self.patience() + STALLED => {
                    return Err(self.stalled(time));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => self.stop(Verdict::Panic, Vec::new()),
            }
        }
        drop(progress);
        if !interrupt.came() {
            self.add_missing();
            self.rows[shown..].iter().try_for_each(show)?;
        }
        Ok(std::mem::take(&mut self.rows))
    }

    /// How long a machine may run without a report, by its own time.
    fn patience(&self) -> Duration {
        let found = self.running.as_ref().is_some_and(|row| !row.findings.is_empty());
        let (patience, runs) = (self.plan.patience, Duration::from_secs(self.plan.seconds));
        match &self.plan.broken {
            _ if self.panicked => Duration::from_secs(1),
            Some(_) if found => patience / FOUND,
            Some(_) => patience / BROKEN + runs,
            None => patience + runs,
        }
    }

    /// The message for a host that does not let the machine run.
    fn stalled(&self, time: &mut OwnTime) -> Failure {
        let (waited, silent) = (time.waited().as_secs(), time.silent().as_secs());
        let program = self.machine.program;
        Failure::bad_input(
            format!("{program} said nothing for {waited} s, of which this host let it run for {silent} s"),
            "continue it if it is stopped, or run again when the host is less busy",
        )
    }

    fn progress(&self) -> String {
        let scenario = self.running.as_ref().map_or("boots", |row| &row.scenario);
        let (done, all) = (self.rows.len(), self.plan.scenarios().len());
        format!("{} on {} CPUs: {scenario}, {done} of {all} done", self.machine.name, self.plan.cpus)
    }

    /// Takes a line in; returns a scenario that it ends.
    fn take(&mut self, line: &str) -> Option<Row> {
        let report = line.strip_prefix('@').and_then(|text| serde_json::from_str::<Value>(text).ok());
        let Some(mut report) = report else {
            self.other.push(line.to_owned());
            return None;
        };
        match report["event"].as_str() {
            Some("boot") => {
                // The firmware's words.
                self.other.clear();
                None
            }
            Some("begin") => {
                let name = report["scenario"].as_str().unwrap_or("?");
                self.running = Some(Row::new(self.machine.name, name, Verdict::Clean));
                None
            }
            Some("finding") => {
                let told = tell(&report);
                let running = self.running.as_mut()?;
                running.verdict = Verdict::Finding;
                running.findings.push(told);
                None
            }
            Some("scenario") => {
                let mut row = self.running.take()?;
                if let Some(fields) = report.as_object_mut() {
                    fields.retain(|_, value| value.is_u64());
                    row.counts = std::mem::take(fields);
                }
                let found = ["stale", "shadow", "lost"].into_iter().any(|name| row.count(name) > 0);
                row.verdict = if found { Verdict::Finding } else { Verdict::Clean };
                Some(row)
            }
            Some("end") => {
                self.ended = true;
                None
            }
            Some("panic") => {
                self.panicked = true;
                let symbols = Symbols::of(self.image);
                let pcs = report["pcs"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_u64)
                    .filter(|pc| *pc != 0);
                self.other = vec![format!("CPU {} panicked", report["cpu"])];
                self.other.extend(pcs.map(|pc| format!("  at {}", symbols.caller(pc))));
                None
            }
            _ => None,
        }
    }

    /// Ends the scenario that runs; what it found counts more than how it ended.
    fn stop(&mut self, verdict: Verdict, states: Vec<String>) {
        self.ended = true;
        let none = || Row::new(self.machine.name, "boot", verdict);
        let mut row = self.running.take().unwrap_or_else(none);
        if row.verdict != Verdict::Finding {
            row.verdict = verdict;
        }
        let words = self.other.drain(..).filter(|line| !line.is_empty());
        row.findings.extend(words);
        row.findings.extend(states);
        self.rows.push(row);
    }

    fn add_missing(&mut self) {
        for name in self.plan.scenarios() {
            if !self.rows.iter().any(|row| row.scenario == name) {
                self.rows.push(Row::new(self.machine.name, name, Verdict::NotRun));
            }
        }
    }

    /// Asks QEMU where each CPU is.
    fn cpu_states(&self, monitor: &Path) -> Vec<String> {
        let registers = ask(monitor, "info registers -a\n").unwrap_or_default();
        let symbols = Symbols::of(self.image);
        let mut states = Vec::new();
        let mut cpu = String::new();
        for line in registers.lines() {
            if let Some(number) = line.split("CPU#").nth(1) {
                cpu = number.trim().to_owned();
            }
            if let Some(pc) = program_counter(line) {
                states.push(format!("CPU {cpu} at {}", symbols.name(pc)));
            }
        }
        states
    }
}

/// The program counter in a line of registers, as each architecture writes it.
fn program_counter(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let hex = match first {
        "pc" => words.next()?,
        _ => first.strip_prefix("RIP=").or_else(|| first.strip_prefix("PC="))?,
    };
    u64::from_str_radix(hex.trim_start_matches("0x"), 16).ok()
}

#[cfg(not(unix))]
fn ask(_: &Path, _: &str) -> std::io::Result<String> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn ask(monitor: &Path, question: &str) -> std::io::Result<String> {
    let mut stream = UnixStream::connect(monitor)?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    // It never ends by itself: what came until the time was over is the answer.
    let _ = stream.read_to_end(&mut answer);
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::{Guest, program_counter};
    use crate::commands::boot::plan::Plan;
    use crate::commands::boot::report::Verdict;
    use crate::testing::boot_args;
    use std::path::Path;

    fn plan(options: &str) -> Plan {
        Plan::of(&boot_args(&format!("--arch riscv64 --cpus 2 {options}"))).expect("a plan")
    }

    #[test]
    fn a_report_becomes_a_row_with_its_findings() {
        let plan = plan("--scenario remap");
        let mut guest = Guest::new(plan.machines[0], &plan, Path::new("none"));
        assert!(guest.take("@{\"event\":\"begin\",\"scenario\":\"remap\"}").is_none());
        assert!(guest.take("@{\"event\":\"finding\",\"what\":\"stale read\",\"cpu\":1}").is_none());
        let row = guest
            .take("@{\"event\":\"scenario\",\"scenario\":\"remap\",\"cycles\":7,\"stale\":1}")
            .expect("a row");
        assert_eq!((row.verdict, row.count("cycles"), row.findings.len()), (Verdict::Finding, 7, 1));
    }

    #[test]
    fn what_a_panic_leaves_out_is_not_run() {
        let plan = plan("");
        let mut guest = Guest::new(plan.machines[0], &plan, Path::new("none"));
        guest.take("@{\"event\":\"begin\",\"scenario\":\"remap\"}");
        guest.take("@{\"event\":\"panic\",\"cpu\":1,\"pcs\":[16]}");
        guest.take("no memory");
        guest.stop(Verdict::Panic, Vec::new());
        guest.add_missing();
        assert_eq!(guest.rows.len(), 18);
        assert_eq!(guest.rows[0].verdict, Verdict::Panic);
        assert_eq!(guest.rows[0].findings, ["CPU 1 panicked", "  at 0xf", "no memory"]);
        assert_eq!(guest.rows[17].verdict, Verdict::NotRun);
    }

    #[test]
    fn program_counters_are_found_on_all_architectures() {
        assert_eq!(program_counter(" pc       0000000080200040"), Some(0x8020_0040));
        assert_eq!(program_counter("RIP=0000000000201000 RFL=00000002"), Some(0x20_1000));
        assert_eq!(program_counter(" PC=0000000040201000 X00=0"), Some(0x4020_1000));
        assert_eq!(program_counter("RAX=0000000000000001"), None);
    }
}
