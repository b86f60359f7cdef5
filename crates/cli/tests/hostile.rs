//! A thousand inputs that nobody means well with, over all commands: each is answered, none panics or hangs, and no
//! file is lost, changed or left half-written.
#![cfg(unix)]

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An input that is not answered by then hangs; the slowest takes a second or two.
const HANGS: Duration = Duration::from_secs(240);
/// What a command may end with: as expected, not, refused, nothing proved, Ctrl-C, output closed. 101 is a panic, and a
/// signal has no code.
const CODES: [i32; 6] = [0, 1, 2, 3, 130, 141];
const CASE: &str = "lazy-return";

/// A folder of files that every input leaves as they are, and a folder that outputs may go to.
struct Ground {
    folder: TempDir,
    files: BTreeMap<PathBuf, Vec<u8>>,
    inputs: usize,
    failures: Vec<String>,
}

impl Ground {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("folder")).expect("a folder");
        let mut ground = Self { folder, files: BTreeMap::new(), inputs: 0, failures: Vec::new() };
        let list = ground.printed(&["explain", "linux-bafb056c-sparc64-trim", "--text"]);
        let jsonl = ground.printed(&["check", CASE, "--shard", "1/1", "--json"]);
        ground.put("list", &list);
        ground.put("shard.jsonl", &jsonl);
        ground.put("empty", b"");
        ground.put(
            "noise",
            &(0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect::<Vec<_>>(),
        );
        ground.put("long", &vec![b'x'; 10 << 20]);
        ground.put("nul", b"# shootdown replay 1\ncase \0\nmemory tso\n");
        ground.put("bom", &[b"\xef\xbb\xbf".as_slice(), list.as_slice()].concat());
        ground.put("locked", b"mine");
        ground.put("program.rs", b"fn main() {}\n");
        let locked = ground.path("locked");
        fs::set_permissions(locked, fs::Permissions::from_mode(0o000)).expect("its owner");
        ground
    }

    fn printed(&self, arguments: &[&str]) -> Vec<u8> {
        let output = self.command(arguments).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).expect("a place to write to");
        self.files.insert(self.path(name), bytes.to_vec());
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().expect("a name in UTF-8").to_owned()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("shootdown").expect("the binary is built with its tests");
        // No program of the host is to be found: nothing is booted, and nothing is built.
        command.args(arguments).current_dir(self.folder.path()).env("PATH", "").timeout(HANGS);
        command
    }

    /// Runs with `arguments`.
    fn run(&mut self, arguments: &[&str]) {
        self.feed(arguments, &[]);
    }

    /// Runs with `arguments`; standard input has `bytes`.
    fn feed(&mut self, arguments: &[&str], bytes: &[u8]) {
        let output = self.command(arguments).write_stdin(bytes).output().expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        self.judge(arguments, output.status.code(), &String::from_utf8_lossy(&said));
    }

    /// A command that nothing is given, and whose output goes where it is told.
    fn bare(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("shootdown"));
        command.args(arguments).current_dir(self.folder.path()).env("PATH", "").stdin(Stdio::null());
        command
    }

    /// Runs with `arguments` after the reader of standard output, or of standard error too, has gone. Demands this exit
    /// code.
    fn closed(&mut self, arguments: &[&str], error_too: bool, expected: i32) {
        let mut command = self.bare(arguments);
        command.stdout(reader_gone()).stderr(Stdio::piped());
        if error_too {
            command.stderr(reader_gone());
        }
        self.ends(arguments, "closed", command.spawn().expect("it starts"), expected);
    }

    /// Runs with `arguments`; standard output goes to a device without room.
    fn full(&mut self, arguments: &[&str]) {
        let Ok(device) = File::options().write(true).open("/dev/full") else { return };
        let child = self.bare(arguments).stdout(device).stderr(Stdio::piped()).spawn();
        self.ends(arguments, "full", child.expect("it starts"), 2);
    }

    fn ends(&mut self, arguments: &[&str], how: &str, mut child: Child, expected: i32) {
        let said = child.stderr.take().map(|error| std::io::read_to_string(error).unwrap_or_default());
        let code = child.wait().expect("it ends").code();
        let arguments = [arguments, &[how]].concat();
        self.judge(&arguments, code, &said.unwrap_or_default());
        if code != Some(expected) {
            self.failures.push(format!("{arguments:?}: ends with {code:?} and not with {expected}"));
        }
    }

    /// Runs with `arguments`, and has Ctrl-C come while it does; what is read from standard input never ends.
    fn interrupted(&mut self, arguments: &[&str]) {
        let mut command = self.bare(arguments);
        if sigint_is_ignored() {
            let plain = command;
            command = std::process::Command::new("/usr/bin/env");
            command.arg("--default-signal=INT").arg(plain.get_program()).args(plain.get_args());
            command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
            plain.get_current_dir().into_iter().for_each(|folder| _ = command.current_dir(folder));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut error = child.stderr.take().expect("it was asked for");
        thread::sleep(Duration::from_millis(400));
        let number = child.id().to_string();
        let signalled = std::process::Command::new("kill").args(["-s", "INT", &number]).status();
        assert!(signalled.expect("`kill` is there").success(), "{arguments:?} has ended before the signal");
        let begin = Instant::now();
        let mut status = child.try_wait().expect("it can be asked");
        while status.is_none() && begin.elapsed() < HANGS {
            thread::sleep(Duration::from_millis(20));
            status = child.try_wait().expect("it can be asked");
        }
        let _ = child.kill();
        let mut said = Vec::new();
        let _ = error.read_to_end(&mut said);
        // A shell says 130 of what the signal has ended.
        let code = status.and_then(|status| status.code().or(status.signal().map(|signal| 128 + signal)));
        self.judge(&[arguments, &["interrupted"]].concat(), code, &String::from_utf8_lossy(&said));
        if code != Some(130) {
            self.failures.push(format!("{arguments:?}: ends with {code:?} after Ctrl-C"));
        }
    }

    /// Runs with `arguments` as a user who may have this many threads and processes.
    fn starved(&mut self, program: &Path, limit: &str, arguments: &[&str]) {
        let mut command = std::process::Command::new("/bin/bash");
        command
            .args(["-c", &format!("ulimit -u {limit} && exec \"$0\" \"$@\"")])
            .arg(program)
            .args(arguments);
        command.current_dir(program.parent().expect("a folder")).env("PATH", "").stdin(Stdio::null());
        if is_root() {
            // No limit holds root.
            command.uid(65_534);
        }
        let output = command.output().expect("bash starts");
        let said = [output.stdout, output.stderr].concat();
        let limited = format!("ulimit -u {limit}");
        let arguments = [arguments, &[limited.as_str()]].concat();
        self.judge(&arguments, output.status.code(), &String::from_utf8_lossy(&said));
    }

    fn judge(&mut self, arguments: &[&str], code: Option<i32>, said: &str) {
        self.inputs += 1;
        let shown: Vec<String> = arguments.iter().map(|text| text.chars().take(60).collect()).collect();
        let mut wrong = |what: String| self.failures.push(format!("{shown:?}: {what}"));
        if !code.is_some_and(|code| CODES.contains(&code)) || said.contains("panicked at") {
            wrong(format!("ends with {code:?}: {said}"));
        }
        let heard = arguments.last() != Some(&"closed");
        if code == Some(2) && heard && !(said.contains("error:") && said.lines().count() >= 2) {
            wrong(format!("is refused without what is wrong and a remedy: {said}"));
        }
        for (path, bytes) in &self.files {
            if fs::read(path).is_ok_and(|found| found != *bytes) || !path.exists() {
                wrong(format!("{} is not as it was", path.display()));
                fs::write(path, bytes).expect("a place to write to");
            }
        }
        for entry in fs::read_dir(self.folder.path()).expect("the folder") {
            let path = entry.expect("an entry").path();
            if !self.files.contains_key(&path) && path.is_file() {
                wrong(format!("{} is left behind", path.display()));
                fs::remove_file(path).expect("a file");
            }
        }
    }
}

/// Somewhere to write to that nobody reads any more.
fn reader_gone() -> Stdio {
    let (writer, _) = UnixStream::pair().expect("sockets");
    OwnedFd::from(writer).into()
}

fn is_root() -> bool {
    let id = std::process::Command::new("id").arg("-u").output().expect("`id` is there");
    id.stdout == b"0\n"
}

const NUMBERS: [&str; 12] = [
    "",
    " ",
    "-1",
    "+1",
    "0",
    "00",
    "99999999999999999999",
    "1e309",
    "NaN",
    "0x10",
    "\u{661}\u{662}",
    "1; true",
];

fn numbers(ground: &mut Ground) {
    let list = ground.text("list");
    let options: [&[&str]; 30] = [
        &["check", CASE, "--cpus"],
        &["check", CASE, "--deadline"],
        &["check", CASE, "--memory-budget"],
        &["check", CASE, "--workers"],
        &["check", CASE, "--contexts"],
        &["check", CASE, "--random"],
        &["check", CASE, "--random", "2", "--seed"],
        &["check", CASE, "--shard"],
        &["check", CASE, "--drop-rule"],
        &["check", CASE, "--memory"],
        &["explain", CASE, "--deadline"],
        &["explain", CASE, "--workers"],
        &["explain", CASE, "--drop-rule"],
        &["bench", "seed", "--cpus"],
        &["bench", "--policy", "shootdown", "--workload", "pingpong", "--cpus"],
        &["bench", "--policy", "shootdown", "--workload", "pingpong", "--spaces"],
        &["bench", "--policy", "shootdown", "--workload", "pingpong", "--seed"],
        &["bench", "host", "--sharers"],
        &["boot", "--arch", "riscv64", "--cpus"],
        &["boot", "--arch", "riscv64", "--seconds"],
        &["boot", "--arch", "x86_64", "--cycles"],
        &["boot", "--arch", "riscv64", "--patience"],
        &["replay", &list, "--policy"],
        &["check", CASE, "--slowest"],
        &["explain", CASE, "--memory"],
        &["explain", CASE, "--memory-budget"],
        &["explain", CASE, "--contexts"],
        &["explain", CASE, "--random"],
        &["bench", "--grid", "--workload", "pingpong", "--cpus"],
        &["record-import", &list, "--tick-hz"],
    ];
    for option in options {
        for number in NUMBERS {
            ground.run(&[option, &[number]].concat());
        }
    }
}

fn names(ground: &mut Ground) {
    let long = "a".repeat(100_000);
    let braces = "{a,b}".repeat(40);
    let names = [
        "",
        " ",
        "/",
        "..",
        "../../etc/passwd",
        "\u{1f4a5}",
        "\u{202e}txt",
        "%s%n",
        "[",
        "{",
        "x*{",
        "[!",
        "--",
        "-x",
        "a\nb",
        &braces,
        &long,
    ];
    let commands: [&[&str]; 14] = [
        &["check"],
        &["check", "--list"],
        &["check", "--drop-site"],
        &["check", "--swap"],
        &["explain"],
        &["new-case"],
        &["doctor"],
        &["bench"],
        &["bench", "--policy"],
        &["bench", "--workload"],
        &["boot", "--arch"],
        &["boot", "--arch", "x86_64", "--scenario"],
        &["boot", "--arch", "x86_64", "--break"],
        &["completions"],
    ];
    for command in commands {
        for name in names {
            // `check --` and `bench --` have no name, and run everything.
            if !matches!((command, name), (["check" | "bench"], "--")) {
                ground.run(&[command, &[name]].concat());
            }
        }
    }
    ground.run(&[&long]);
    ground.run(&["\u{1f4a5}"]);
}

fn files(ground: &mut Ground) {
    let places = ["gone", "folder", "empty", "noise", "long", "nul", "bom", "locked", "program.rs"];
    let mut files: Vec<String> = places.iter().map(|name| ground.text(name)).collect();
    files.extend(["/dev/zero", "/dev/null", "/", "list/below"].map(Into::into));
    // A device has no place for a trace beside it.
    let out = ground.text("imported");
    let commands: [&[&str]; 6] = [
        &["merge"],
        &["merge", "--json"],
        &["replay"],
        &["record-import", "--out", &out],
        &["doctor"],
        &["boot", "--arch", "x86_64", "--image"],
    ];
    for command in commands {
        for file in &files {
            ground.run(&[command, &[file.as_str()]].concat());
        }
    }
    // A file that is not there, or empty, is begun.
    for file in files.iter().filter(|file| !["gone", "empty"].iter().any(|name| file.ends_with(name))) {
        ground.run(&["check", CASE, "--resume", file]);
    }
    for command in [["merge", "-"], ["replay", "-"]] {
        for bytes in
            [b"".as_slice(), b"\0", b"\xff\xfe", b"{}", b"[", b"# shootdown replay 1\n", &[b'7'; 100_000]]
        {
            ground.feed(&command, bytes);
        }
    }
}

/// What the command wrote itself, cut off, flipped and continued.
fn damage(ground: &mut Ground) {
    for (command, name) in [("replay", "list"), ("merge", "shard.jsonl")] {
        let whole = fs::read(ground.path(name)).expect("a file");
        let mut damaged: Vec<Vec<u8>> = Vec::new();
        for part in 1..16 {
            let at = whole.len() * part / 16;
            damaged.push(whole[..at].to_vec());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (part % 8);
            damaged.push(flipped);
        }
        damaged.push([&whole[..], b"trailing junk"].concat());
        damaged.push([&whole[..], &whole[..]].concat());
        damaged.push(String::from_utf8_lossy(&whole).replace('\n', "\r\n").into_bytes());
        for bytes in damaged {
            ground.feed(&[command, "-"], &bytes);
        }
    }
    let shard = fs::read_to_string(ground.path("shard.jsonl")).expect("text");
    for (from, to) in [
        ("\"states\":", "\"states\":1844674407370955161"),
        ("\"seconds\":", "\"seconds\":-1"),
        ("\"as_expected\":true", "\"as_expected\":false"),
        ("\"verdict\":\"holds\"", "\"verdict\":\"violates\""),
        ("\"cpus\":2", "\"cpus\":9"),
        ("\"results\":1", "\"results\":18446744073709551615"),
        ("\"shard\":\"1/1\"", "\"shard\":\"2/1\""),
        ("\"names\":[", "\"names\":[\"{\","),
    ] {
        ground.feed(&["merge", "-"], shard.replace(from, to).as_bytes());
    }
}

fn outputs(ground: &mut Ground) {
    let mut places: Vec<String> =
        ["folder", "gone/below", "list/below"].map(|name| ground.text(name)).to_vec();
    places.extend(["/dev/full".into(), String::new(), "/proc/none".into()]);
    let list = ground.text("list");
    for place in &places {
        ground.run(&["check", CASE, "--json-file", place]);
        ground.run(&["explain", "linux-bafb056c-sparc64-trim", "--svg", place]);
        ground.run(&["explain", "linux-bafb056c-sparc64-trim", "--html", place]);
        ground.run(&["record-import", &list, "--out", place]);
        ground.run(&["bench", "--report", place, "--policy", "shootdown"]);
    }
    // A folder is asked for, and a file is there.
    for command in [["man", "--dir"], ["bench", "--report"]] {
        ground.run(&[&command[..], &[&list]].concat());
    }
    ground.run(&["explain", "--all", "--html", &list]);
    ground.run(&["new-case", "toy-acks", "--dir", &list]);
    ground.run(&["new-case", "toy-acks", "--dir", &ground.text("gone")]);
    // The input is the output.
    ground.run(&["record-import", &list, "--out", &list]);
    // What holds, or is refused, draws nothing over a file that is there.
    for option in ["--svg", "--html"] {
        ground.run(&["explain", CASE, option, &list]);
        ground.run(&["explain", "no-such-case", option, &list]);
    }
    ground.run(&["check", "no-such-case", "--json-file", &list]);
    ground.run(&["check", CASE, "--workers", "65", "--json-file", &list]);
    ground.run(&["check", CASE, "--list", "--json-file", &list]);
}

/// Commands that print something, whatever the case.
fn printing(list: &str) -> [Vec<&str>; 12] {
    [
        vec!["check", CASE],
        vec!["check", CASE, "--json"],
        vec!["check", CASE, "--verbose", "--slowest", "1"],
        vec!["check", "--list"],
        vec!["explain", CASE],
        vec!["explain", "linux-bafb056c-sparc64-trim", "--text"],
        vec!["replay", list],
        vec!["bench", "seed"],
        vec!["bench", "--policy", "shootdown", "--workload", "pingpong"],
        vec!["man"],
        vec!["completions", "bash"],
        vec!["--help"],
    ]
}

fn readers_that_go(ground: &mut Ground) {
    let list = ground.text("list");
    for command in printing(&list) {
        ground.closed(&command, false, 141);
        ground.closed(&command, true, 141);
        ground.full(&command);
    }
    // Nobody is told, and the exit code says the rest.
    ground.closed(&["check", "no-such-case"], true, 2);
    ground.closed(&["merge", "gone"], true, 2);
    let shard = ground.text("shard.jsonl");
    ground.closed(&["merge", &shard], false, 141);
    ground.full(&["merge", &shard]);
    for options in [["--json", "--slowest"], ["--verbose", "--slowest"]] {
        let mut command = ground.bare(&[&["check", CASE][..], &options, &["1"]].concat());
        command.stdout(Stdio::null()).stderr(reader_gone());
        ground.ends(&["check", CASE, "--slowest", "1"], "closed", command.spawn().expect("it starts"), 0);
    }
}

/// Ctrl-C in the middle of what takes longer than that.
fn interrupts(ground: &mut Ground) {
    let folder = ground.text("folder");
    let out = ground.text("imported");
    let commands: [&[&str]; 12] = [
        &["check"],
        &["check", "--json", "--json-file", "/dev/null"],
        &["check", "bugs", "--mutants"],
        &["check", CASE, "--random", "1000000000"],
        &["explain", "--all", "--html", &folder],
        &["explain", CASE, "--random", "1000000000"],
        &["bench", "--report", &folder],
        &["bench", "--grid"],
        &["record-import", "-", "--out", &out],
        &["merge", "-"],
        &["replay", "-"],
        &[],
    ];
    for command in commands {
        ground.interrupted(command);
    }
}

/// A user who may have no more threads than there are: an error that says so, or the work is done without.
fn limits(ground: &mut Ground) {
    // Where that user can reach it.
    let place = tempfile::tempdir().expect("a folder");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("its owner");
    let program = place.path().join("shootdown");
    fs::copy(assert_cmd::cargo::cargo_bin("shootdown"), &program).expect("room for a copy");
    fs::copy(ground.path("list"), place.path().join("list")).expect("room for a copy");
    let commands: [&[&str]; 11] = [
        &["check", CASE],
        &["check", CASE, "--workers", "1"],
        &["check", CASE, "--workers", "64"],
        &["explain", CASE],
        &["explain", "linux-bafb056c-sparc64-trim", "--text"],
        &["replay", "list"],
        &["bench", "seed"],
        &["bench", "--grid", "--cpus", "2", "--workload", "pingpong"],
        &["bench", "host", "--sharers", "63"],
        &["boot", "--arch", "riscv64"],
        &["doctor", "list"],
    ];
    for command in commands {
        for limit in ["1", "3"] {
            ground.starved(&program, limit, command);
        }
    }
}

/// Two names of one file, where each option wants a file of its own.
fn one_file_for_two(ground: &mut Ground) {
    let list = ground.text("list");
    let kept = ground.printed(&["check", CASE, "--shard", "1/1", "--json"]);
    ground.put("kept", &kept);
    for link in ["soft", "hard"] {
        let (from, to) = (ground.path("kept"), ground.path(link));
        if link == "soft" { symlink(from, to) } else { fs::hard_link(from, to) }.expect("a link");
        ground.files.insert(ground.path(link), kept.clone());
    }
    for other in ["kept", "./kept", "soft", "hard", "folder/../kept"] {
        ground.run(&["check", CASE, "--resume", "kept", "--json-file", other]);
        ground.run(&["explain", "linux-bafb056c-sparc64-trim", "--svg", "kept", "--html", other]);
        ground.run(&["record-import", "kept", "--out", other]);
        ground.run(&["record-import", other, "--out", "kept"]);
    }
    ground.run(&["check", CASE, "--resume", "fresh", "--json-file", "./fresh"]);
    ground.run(&["record-import", "/dev/stdin"]);
    ground.feed(&["record-import", "-"], list.as_bytes());
    // A pipe with a name has no end either, until its writer has one.
    let pipe = ground.text("folder/pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("`mkfifo` is there").success());
    let to = pipe.clone();
    let writer = thread::spawn(move || fs::write(to, "no recording\n").expect("a reader"));
    ground.run(&["record-import", &pipe, "--out", "folder/trace.sdt"]);
    writer.join().expect("it has written");
    let to = pipe.clone();
    let writer = thread::spawn(move || fs::write(to, "no list\n").expect("a reader"));
    ground.run(&["replay", &pipe]);
    writer.join().expect("it has written");
}

/// What recorders print, odd or damaged.
fn recordings(ground: &mut Ground) {
    let switch = |name: &str, cpu: &str, time: &str| {
        format!(
            "{name}-71 ( 71) [{cpu}] d..2. {time}: sched_switch: prev_comm={name} prev_pid=71 prev_prio=120 \
             prev_state=R ==> next_comm={name} next_pid=72 next_prio=120\n"
        )
    };
    let flush = |pid: &str, time: &str| {
        format!("a-{pid} ( 71) [000] d..1. {time}: tlb_flush: pages:2 reason:remote ipi send (4)\n")
    };
    let usual = switch("a", "000", "1.000001") + &flush("71", "1.000002");
    let texts: Vec<Vec<u8>> = vec![
        usual.clone().into_bytes(),
        usual.replace('\n', "\r\n").into_bytes(),
        usual.replace('\n', "\r").into_bytes(),
        usual.trim_end().as_bytes().to_vec(),
        usual.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        usual.replace('a', "\0").into_bytes(),
        [usual.as_bytes(), b"\xff\xfe\xfd\n"].concat(),
        usual.replace(" d..", "\td..").into_bytes(),
        usual.repeat(2).into_bytes(),
        [usual.as_bytes(), &vec![b'\n'; 1 << 20]].concat(),
        [usual.as_bytes(), &vec![b' '; 1 << 17]].concat(),
        (switch("a [2] b", "000", "1.000001") + &flush("71", "1.000002")).into_bytes(),
        (switch("-1 (9) [0", "000", "1.000001") + &flush("71", "1.000002")).into_bytes(),
        (switch("a", "4095", "1.000001") + &flush("71", "1.000002")).into_bytes(),
        (switch("a", "4096", "1.000001") + &flush("71", "1.000002")).into_bytes(),
        (switch("a", "99999999999", "1.000001") + &flush("71", "1.000002")).into_bytes(),
        (usual.clone() + &flush("123456789", "1.000003")).into_bytes(),
        (usual.clone() + &flush("4294967295", "1.000003")).into_bytes(),
        (usual.clone() + &flush("4294967296", "1.000003")).into_bytes(),
        (usual.clone() + &flush("-71", "1.000003")).into_bytes(),
        (usual.clone() + &flush("71", "0.000001")).into_bytes(),
        (usual.clone() + &flush("71", "99999999999.000001")).into_bytes(),
        (usual.clone() + &flush("71", "18446744073709551616.000001")).into_bytes(),
        (usual.clone() + &flush("71", "1000003")).into_bytes(),
        (usual.clone() + "CPU:0 [LOST 18446744073709551615 EVENTS]\nCPU:0 [LOST 9 EVENTS]\n").into_bytes(),
        (usual.clone() + "CPU:0 [LOST 99999999999999999999 EVENTS]\n").into_bytes(),
        usual.replace("pages:2", "pages:-2").into_bytes(),
        usual.replace("pages:2", "pages:18446744073709551615").into_bytes(),
        usual.replace("(4)", "(4").into_bytes(),
        usual.replace("tlb_flush", "tlb_flush_").into_bytes(),
        (usual.clone() + "perf 71 [000] 1.000009: tlb:tlb_flush: pages:2 reason:remote ipi send (4)\n")
            .into_bytes(),
        b"\x17\x08\x44tracing".to_vec(),
        b"SDTRACE\0".to_vec(),
        b"# tracer: function_graph\n 0)   0.100 us    |  tlb_flush();\n".to_vec(),
    ];
    for text in texts {
        ground.feed(&["record-import", "-", "--out", "folder/trace.sdt"], &text);
        ground.feed(&["replay", "-"], &text);
    }
}

/// Options that would change nothing, or exclude each other.
fn options(ground: &mut Ground) {
    let list = ground.text("list");
    let lines = [
        "check --list --verbose",
        "check linux-bafb056c-sparc64-trim --mutants --resume fresh",
        "check linux-bafb056c-sparc64-trim --mutants --all-findings",
        "check lazy-return --shard 1/2 --mutants",
        "check --list --workers 1",
        "check lazy-return --keep-going",
        "check lazy-return --json --verbose",
        "check lazy-return --drop-rule SD-1 --drop-site x",
        "bench seed --policy shootdown",
        "bench seed --spaces 2",
        "bench host --cpus 2",
        "bench --sharers 2 --policy shootdown",
        "explain --all",
        "explain lazy-return --all --html x",
        "explain lazy-return --text --state",
        "boot --all --arch x86_64",
        "boot --count --scenario remap",
        "merge",
        "replay",
        "doctor",
        "nothing",
        "check --nothing",
        "--nothing",
    ];
    for line in lines {
        ground.run(&line.split(' ').collect::<Vec<_>>());
    }
    for option in ["--tags", "--json"] {
        ground.run(&["replay", &list, option]);
    }
}

/// Whether a shell has begun this as a job in the background: then it ignores Ctrl-C, and so does what it runs.
fn sigint_is_ignored() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits >> 1 & 1 != 0)
}

/// Runs `groups`, and demands that each of their inputs, this many, is answered and that no file is lost.
fn all_answered(least: usize, groups: &[fn(&mut Ground)]) {
    let mut ground = Ground::new();
    groups.iter().for_each(|group| group(&mut ground));
    let (inputs, failures) = (ground.inputs, &ground.failures);
    assert!(inputs >= least, "{inputs} inputs");
    assert!(failures.is_empty(), "{} of {inputs} inputs:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn odd_arguments_are_answered() {
    all_answered(600, &[numbers, names, options]);
}

#[test]
fn odd_files_are_answered_and_none_is_lost() {
    all_answered(240, &[files, damage, recordings, one_file_for_two]);
}

#[test]
fn outputs_that_fail_are_said_and_readers_that_go_end_the_run() {
    all_answered(80, &[outputs, readers_that_go]);
}

#[test]
fn a_run_that_is_stopped_or_starved_leaves_nothing_behind() {
    all_answered(30, &[interrupts, limits]);
}
