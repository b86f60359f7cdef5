//! Misuse does not compile: each file under `cases` is a program with one mistake.
//!
//! Its first line names the rule that the mistake would break. The line with the mistake ends in `//~` and what the
//! compiler must say there: a code, or words of a lint in quotes; `elsewhere` after a code for what is found in the
//! engine's source. A line that begins with `//=` is the right way: the file's twin has it in place of the line that
//! follows, and must compile, so that nothing but that line is wrong. Neither messages nor notes are compared, which
//! differ from one compiler to the next. The engine depends on nothing, so the compiler is called directly.

mod case;

use case::{Case, Fault};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/misuse");
const OUT: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/misuse");

/// Compilers at work at once.
const JOBS: usize = 2;

#[test]
fn misuse_is_refused_where_it_stands_and_the_right_way_compiles() {
    let bench = Bench::new();
    let cases = cases();
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..JOBS {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(fault) = bench.try_case(case) {
                        faults.lock().expect("no compiler panics").push(format!("{}: {fault}", case.name));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().expect("no compiler panics");
    assert!(faults.is_empty(), "{} of {} cases:\n{}", faults.len(), cases.len(), faults.join("\n"));
}

#[test]
fn every_case_names_the_rule_that_it_guards() {
    let cases = cases();
    assert!(cases.len() >= 20, "{} cases", cases.len());
    for case in &cases {
        assert!(
            (1..=u32::from(shootdown::trace::rules::LAST)).contains(&case.rule),
            "{} names SD-{}",
            case.name,
            case.rule
        );
    }
}

#[test]
fn an_error_on_another_line_or_of_another_kind_is_no_refusal() {
    let case = Case::parse("a", "//! SD-8: x\n//= b();\na(); //~ E0382\n").expect("a case");
    assert_eq!(case.twin, "//! SD-8: x\nb();\n");
    let said = |lines: &str| case.check(Path::new("a.rs"), lines);
    assert_eq!(said("a.rs:3:5: error[E0382]: used\nerror: aborting\n"), Ok(()));
    assert_eq!(
        said("a.rs:2:5: error[E0382]: used\n"),
        Err(Fault::Another("a.rs:2:5: error[E0382]: used".into()))
    );
    assert_eq!(
        said("a.rs:3:5: error[E0308]: mismatch\n"),
        Err(Fault::Another("a.rs:3:5: error[E0308]: mismatch".into()))
    );
    assert_eq!(said("a.rs:3:5: warning: unused\n"), Err(Fault::Compiles));
}

#[test]
fn a_file_without_a_rule_a_mistake_or_a_right_way_is_no_case() {
    assert_eq!(Case::parse("a", "fn main() {}\n"), Err(Fault::NoRule));
    assert_eq!(Case::parse("a", "//! SD-8: x\n//= b();\na();\n"), Err(Fault::NoMistake));
    assert_eq!(Case::parse("a", "//! SD-8: x\na(); //~ E0382\n"), Err(Fault::NoRightWay));
}

/// The cases, by name.
fn cases() -> Vec<Case> {
    let files = fs::read_dir(Path::new(HERE).join("cases")).expect("the folder of cases");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        let text = fs::read_to_string(path).expect("a text");
        let name = path.file_stem().expect("a name").to_string_lossy();
        Case::parse(&name, &text).unwrap_or_else(|fault| panic!("{name}: {fault}"))
    };
    paths.iter().map(read).collect()
}

/// The engine and the kernel of the cases, compiled.
struct Bench {
    out: PathBuf,
}

impl Bench {
    fn new() -> Self {
        fs::create_dir_all(OUT).expect("a place for what is compiled");
        let bench = Self { out: OUT.into() };
        let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        library(bench.rustc("shootdown", &engine, &[]).args(["--cfg", "feature=\"per-cpu-tags\""]));
        // The engine without features, for the cases that need one.
        library(&mut bench.rustc("without_features", &engine, &[]));
        library(&mut bench.rustc("kernel", &Path::new(HERE).join("kernel.rs"), &["shootdown"]));
        bench
    }

    /// Compiles a case and its twin.
    fn try_case(&self, case: &Case) -> Result<(), Fault> {
        let wrong = Path::new(HERE).join("cases").join(&case.name).with_extension("rs");
        case.check(&wrong, &text(&self.program(&case.name, &wrong)))?;
        let name = format!("{}_twin", case.name);
        let right = self.out.join(&name).with_extension("rs");
        fs::write(&right, &case.twin).expect("the twin is written");
        let said = self.program(&name, &right);
        if said.status.success() { Ok(()) } else { Err(Fault::Twin(text(&said))) }
    }

    /// Compiles a program as far as machine code, since assertions in constants are looked at no earlier.
    fn program(&self, name: &str, source: &Path) -> Output {
        let mut rustc = self.rustc(name, source, &["shootdown", "without_features", "kernel"]);
        rustc.args([
            "--crate-type",
            "bin",
            "--emit",
            "obj",
            "--allow",
            "warnings",
            "--deny",
            "unused_must_use",
        ]);
        rustc.output().expect("rustc runs")
    }

    fn rustc(&self, name: &str, source: &Path, uses: &[&str]) -> Command {
        let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
        rustc.args(["--edition", "2024", "--error-format", "short", "--crate-name", name]);
        rustc.arg("--out-dir").arg(&self.out).arg("-L").arg(&self.out);
        for library in uses {
            let path = self.out.join(format!("lib{library}.rlib"));
            rustc.arg("--extern").arg(format!("{library}={}", path.display()));
        }
        rustc.arg(source);
        rustc
    }
}

fn library(rustc: &mut Command) {
    let said = rustc.args(["--crate-type", "rlib", "--cap-lints", "allow"]).output().expect("rustc runs");
    assert!(said.status.success(), "{}", text(&said));
}

fn text(said: &Output) -> String {
    String::from_utf8_lossy(&said.stderr).into_owned()
}
