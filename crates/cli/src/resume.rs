//! Results that are kept as they come, so that a check that was stopped goes on where it was.
//!
//! Whole cases are kept, not the states of one that is under way. A state holds addresses of the process that found it
//! (pointers in words, places in the code under check), of which another process can make nothing; and cases take
//! minutes at most, also those of `--deep`. A line is written when its case ends, so that a killed process loses no
//! more than Ctrl-C does.

use serde::{Deserialize, Serialize};
use shootdown_machine::Case;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::failure::Failure;
use crate::files::{self, unwritable};
use crate::record::Record;
use crate::shard::Head;
use crate::truth;

const REMEDY: &str = "give another file, or the options and the build that this one was begun with";

/// The first line of the file.
#[derive(Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Begun {
    /// Hash of the engine's source.
    engine: String,
    check: Head,
}

/// The file, and what it had when it was opened.
#[derive(Debug)]
pub struct Kept {
    file: File,
    records: Vec<Record>,
}

impl Kept {
    /// Opens the file at `path`, of the check that `head` describes, or begins it.
    ///
    /// # Errors
    /// It cannot be read or written, or holds something else, or results of another check; it is left as it was then.
    pub fn open(path: &Path, head: Head) -> Result<Self, Failure> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(path);
        let mut file = opened.map_err(|error| unwritable(path, &error))?;
        let text = files::whole(&mut file).and_then(files::text).map_err(|error| {
            let what = format!("cannot read {}: {error}", path.display());
            Failure::bad_input(what, "give a file that `--resume` began")
        })?;
        let begun = Begun { engine: truth::engine().to_owned(), check: head };
        if text.is_empty() {
            write(&mut file, &begun).map_err(|error| unwritable(path, &error))?;
            return Ok(Self { file, records: Vec::new() });
        }
        // A process that was killed may have left half a line.
        let whole = text.rfind('\n').map_or(0, |last| last + 1);
        let records = parse(path, &text[..whole], &begun)?;
        if whole < text.len() {
            file.set_len(whole as u64).map_err(|error| unwritable(path, &error))?;
        }
        Ok(Self { file, records })
    }

    /// Takes the result of `case` out, if there is one that can be of it.
    pub fn take(&mut self, case: &Case, memory: Option<&str>, removed: Option<&str>) -> Option<Record> {
        let at = self.records.iter().position(|record| record.name == case.name)?;
        let record = self.records.swap_remove(at);
        record.contradiction(case, memory, removed).is_none().then_some(record)
    }

    /// Adds a result, unless its case was stopped and is to run again.
    ///
    /// # Errors
    /// It could not be written.
    pub fn add(&mut self, record: &Record) -> io::Result<()> {
        if record.complete || record.unproved() { write(&mut self.file, record) } else { Ok(()) }
    }
}

fn write(file: &mut File, line: &impl Serialize) -> io::Result<()> {
    let line = serde_json::to_string(line)? + "\n";
    file.write_all(line.as_bytes())?;
    file.flush()
}

fn parse(path: &Path, text: &str, wanted: &Begun) -> Result<Vec<Record>, Failure> {
    let place = path.display();
    let mut lines = text.lines().enumerate();
    let first = lines.next().and_then(|(_, line)| serde_json::from_str::<Begun>(line).ok());
    let Some(begun) = first else {
        return Err(Failure::bad_input(
            format!("{place} holds no results of a check"),
            "give a file that `--resume` began",
        ));
    };
    if let Some((what, one, two)) = difference(&begun, wanted) {
        let what = format!("{place} was begun with {what} {one}, and this check has {what} {two}");
        return Err(Failure::bad_input(what, REMEDY));
    }
    let read = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|_| {
            let start: String = line.chars().take(60).collect();
            let what = format!("{place}, line {}: this is no result: {start}", at + 1);
            Failure::bad_input(what, "take the line out; its case runs again")
        })
    };
    lines.map(read).collect()
}

/// The first thing in which two checks differ, and what it is in each.
fn difference(one: &Begun, two: &Begun) -> Option<(String, String, String)> {
    let fields = |begun: &Begun| {
        let Begun { engine, check: Head { shard, version, catalogue, .. } } = begun;
        [
            ("the engine's source", engine.clone()),
            ("version", version.clone()),
            ("catalogue", catalogue.clone()),
            ("--shard", shard.to_string()),
        ]
    };
    let pairs = fields(one).into_iter().zip(fields(two));
    let first =
        pairs.map(|((name, one), (_, two))| (name.to_owned(), one, two)).find(|(_, one, two)| one != two);
    first.or_else(|| one.check.flags.difference(&two.check.flags))
}

#[cfg(test)]
mod tests {
    use super::Kept;
    use crate::args::CheckArgs;
    use crate::record::Record;
    use crate::shard::{Head, Shard};
    use crate::testing::{engine_case, report};
    use shootdown_explore::{Memory, Verdict};
    use shootdown_machine::Case;
    use std::fs;
    use std::path::Path;

    fn head(args: &CheckArgs) -> Head {
        Head::new(Shard::parse("1/1").expect("a shard"), args, &[])
    }

    fn open(path: &Path) -> Kept {
        Kept::open(path, head(&CheckArgs::default())).expect("a file")
    }

    fn record(case: &Case, verdict: Verdict) -> Record {
        Record::new(case, Memory::Tso, None, &report(verdict))
    }

    #[test]
    fn what_was_complete_is_there_again_once_and_what_was_stopped_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        let [one, two, three] = ["a", "b", "c"].map(|name| engine_case(name, 2));
        let mut kept = open(&path);
        kept.add(&record(&one, Verdict::Holds)).expect("written");
        kept.add(&record(&two, Verdict::Stopped("Ctrl-C".into()))).expect("written");
        kept.add(&record(&three, Verdict::Unproved("few".into()))).expect("written");
        let mut again = open(&path);
        assert_eq!(again.take(&one, None, None), Some(record(&one, Verdict::Holds)));
        assert_eq!(again.take(&one, None, None), None);
        assert_eq!(again.take(&two, None, None), None);
        assert!(again.take(&three, None, None).is_some_and(|record| record.unproved()));
        let edited = engine_case("a", 3);
        assert_eq!(open(&path).take(&edited, None, None), None, "a case of another machine");
    }

    #[test]
    fn other_files_and_other_checks_are_refused_and_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("kept");
        let refusal = |args: &CheckArgs| match Kept::open(&path, head(args)) {
            Ok(_) => panic!("must be refused"),
            Err(failure) => failure.to_string(),
        };
        fs::write(&path, "mine\nand mine").expect("written");
        assert!(refusal(&CheckArgs::default()).contains("holds no results of a check"));
        assert_eq!(fs::read_to_string(&path).expect("text"), "mine\nand mine");
        fs::remove_file(&path).expect("it was there");
        drop(open(&path));
        let said = refusal(&CheckArgs { deep: true, ..CheckArgs::default() });
        assert!(said.contains("--deep false") && said.contains("--deep true"), "{said}");
        let begun = fs::read_to_string(&path).expect("text");
        fs::write(&path, begun + "nothing\n").expect("written");
        assert!(refusal(&CheckArgs::default()).contains("line 2: this is no result: nothing"));
    }
}
