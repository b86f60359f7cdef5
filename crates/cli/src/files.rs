//! Files that the command reads and writes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::failure::Failure;

/// Most bytes of a file that is read as a whole: a device has no end.
const MOST: u64 = 256 << 20;

/// Reads the file at `path`, or standard input where that is `-`.
///
/// # Errors
/// It cannot be read, or has no end in sight.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    match path == Path::new("-") {
        true => whole(io::stdin()),
        false => whole(File::open(path)?),
    }
}

/// Reads all of `from`.
///
/// # Errors
/// It cannot be read, or has no end in sight.
pub fn whole(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(MOST + 1).read_to_end(&mut bytes)?;
    match read as u64 > MOST {
        true => Err(io::Error::other(format!("it has more than {MOST} bytes"))),
        false => Ok(bytes),
    }
}

/// Makes a text of `bytes`.
///
/// # Errors
/// They are none.
pub fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Finds out whether `path` can be written, before a long run rather than after it, and leaves it as it was.
///
/// # Errors
/// It cannot.
pub fn probe(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map_err(|error| unwritable(path, &error))?;
    if !existed {
        fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Says that `path` cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::bad_input(format!("cannot write {}: {error}", path.display()), "give a path that can be written")
}

#[cfg(test)]
mod tests {
    use super::probe;
    use std::fs;

    #[test]
    fn a_probe_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let (old, new) = (folder.path().join("old"), folder.path().join("new"));
        fs::write(&old, "text").expect("a file");
        probe(&old).and_then(|()| probe(&new)).expect("places to write to");
        assert_eq!(fs::read_to_string(&old).expect("it"), "text");
        assert!(!new.exists());
        let said = probe(folder.path()).expect_err("no file").to_string();
        assert!(said.contains(&folder.path().display().to_string()), "{said}");
    }
}
