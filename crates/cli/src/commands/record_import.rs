use indicatif::{BinaryBytes, HumanCount, ProgressBar, ProgressStyle};
use shootdown_bench::trace::import;
use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::args::ImportArgs;
use crate::failure::{AS_EXPECTED, Failure};

/// Runs `shootdown record-import`.
///
/// # Errors
/// Input that cannot be read or holds no event; a trace that cannot be written.
pub fn record_import(args: &ImportArgs) -> Result<ExitCode, Failure> {
    let cannot = |path: &Path, what: &str, remedy: &str| {
        let (path, remedy) = (path.display().to_string(), remedy.to_owned());
        let what = what.to_owned();
        move |error: std::io::Error| Failure::bad_input(format!("cannot {what} {path}: {error}"), remedy)
    };
    let input =
        File::open(&args.file).map_err(cannot(&args.file, "read", "give the text of a kernel's trace"))?;
    let path = args.out.clone().unwrap_or_else(|| with_ending(&args.file));
    let length = input.metadata().map(|data| data.len()).unwrap_or(0);
    let out = File::create(&path).map_err(cannot(&path, "write", "`--out` names another file"))?;
    let bar = bytes_bar(length);
    let imported = import(BufReader::new(input), BufWriter::new(out), |bytes| bar.set_position(bytes));
    bar.finish_and_clear();
    let found = imported.map_err(cannot(&args.file, "import", "the input must be readable to its end"))?;
    if found.lines == found.skipped || found.spaces == 0 {
        return Err(Failure::bad_input(
            format!("{}: none of its {} lines is an event of a program", args.file.display(), found.lines),
            "record the events that `shootdown record-import --help` names, as text",
        ));
    }
    let mut out = anstream::stdout();
    writeln!(
        out,
        "{}: {} CPUs, {} spaces, {} from {} lines ({} skipped). `shootdown replay {}` runs it.",
        path.display(),
        found.cpus,
        HumanCount(u64::from(found.spaces)),
        BinaryBytes(found.bytes),
        HumanCount(found.lines),
        HumanCount(found.skipped),
        path.display()
    )?;
    Ok(ExitCode::from(AS_EXPECTED))
}

fn with_ending(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(".sdt");
    file.with_file_name(name)
}

/// A bar for so many bytes.
pub fn bytes_bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {msg}") {
        bar.set_style(style);
    }
    bar
}
