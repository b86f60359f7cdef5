//! Some hundred inputs that nobody means well with, over all commands: each is answered, none panics or hangs, and no file is
//! lost, changed or left half-written.
#![cfg(unix)]

use assert_cmd::Command;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;

/// An input that is not answered by then hangs; the slowest takes a second or two.
const HANGS: Duration = Duration::from_secs(240);
/// What a command may end with: as expected, not, refused, nothing proved, output closed. 101 is a panic, and a signal has no code.
const CODES: [i32; 5] = [0, 1, 2, 3, 141];
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

    /// Runs with `arguments`; whoever reads standard output, or standard error, has gone.
    fn closed(&mut self, arguments: &[&str], error_too: bool) {
        let program = assert_cmd::cargo::cargo_bin("shootdown");
        let mut command = std::process::Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).env("PATH", "").stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        drop(child.stdout.take());
        let error = child.stderr.take().filter(|_| !error_too);
        let said = error.map(|error| std::io::read_to_string(error).unwrap_or_default()).unwrap_or_default();
        let code = child.wait().expect("it ends").code();
        self.judge(&[arguments, &["(closed)"]].concat(), code, &said);
    }

    fn judge(&mut self, arguments: &[&str], code: Option<i32>, said: &str) {
        self.inputs += 1;
        let shown: Vec<String> = arguments.iter().map(|text| text.chars().take(60).collect()).collect();
        let mut wrong = |what: String| self.failures.push(format!("{shown:?}: {what}"));
        if !code.is_some_and(|code| CODES.contains(&code)) || said.contains("panicked at") {
            wrong(format!("ends with {code:?}: {said}"));
        }
        let heard = arguments.last() != Some(&"(closed)");
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
    let options: [&[&str]; 22] = [
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
        &["replay", &list, "--policy"],
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
            // `check --` has no name, and runs everything.
            if (command, name) != (["check"].as_slice(), "--") {
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
    // What is not there, or empty, is begun.
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

fn readers_that_go(ground: &mut Ground) {
    let commands: [&[&str]; 9] = [
        &["check", CASE],
        &["check", CASE, "--json"],
        &["check", "--list"],
        &["explain", CASE],
        &["explain", "linux-bafb056c-sparc64-trim", "--text"],
        &["bench", "seed"],
        &["man"],
        &["completions", "bash"],
        &["--help"],
    ];
    for command in commands {
        ground.closed(command, false);
        ground.closed(command, true);
    }
    ground.closed(&["check", "no-such-case"], true);
    ground.closed(&["merge", "gone"], true);
}

/// Options that would change nothing, or exclude each other.
fn options(ground: &mut Ground) {
    let list = ground.text("list");
    let lines = [
        "check --list --verbose",
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

#[test]
fn every_input_is_answered_and_no_file_is_lost() {
    let mut ground = Ground::new();
    numbers(&mut ground);
    names(&mut ground);
    files(&mut ground);
    damage(&mut ground);
    outputs(&mut ground);
    readers_that_go(&mut ground);
    options(&mut ground);
    assert!(ground.inputs >= 240, "{} inputs", ground.inputs);
    let failures = &ground.failures;
    assert!(failures.is_empty(), "{} of {} inputs:\n{}", failures.len(), ground.inputs, failures.join("\n"));
}
