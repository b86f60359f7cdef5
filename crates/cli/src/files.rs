//! Files that the command reads and writes.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

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
#[cfg(feature = "full")]
pub fn probe(path: &Path) -> Result<(), Failure> {
    let existed = path.exists();
    let opened = File::options().append(true).create(true).open(path);
    opened.map_err(|error| unwritable(path, &error))?;
    if !existed {
        fs::remove_file(path).map_err(|error| unwritable(path, &error))?;
    }
    Ok(())
}

/// Refuses options of which each names a file of its own, and that name the same one.
///
/// # Errors
/// They do.
pub fn apart((one, path): (&str, &Path), (other, second): (&str, &Path)) -> Result<(), Failure> {
    if !is_same(path, second) {
        return Ok(());
    }
    Err(Failure::bad_input(
        format!("{one} and {other} are the same file, {}", path.display()),
        "give each a file of its own",
    ))
}

/// Whether two paths lead to the same file, by whatever links, or would if it were there.
pub fn is_same(one: &Path, other: &Path) -> bool {
    let of_links = fs::metadata(one).and_then(|one| Ok((one, fs::metadata(other)?)));
    of_links.is_ok_and(|(one, other)| is_same_node(&one, &other))
        || place(one).is_some_and(|one| Some(one) == place(other))
}

#[cfg(unix)]
fn is_same_node(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_node(_one: &fs::Metadata, _other: &fs::Metadata) -> bool {
    false
}

/// The one path of what `path` leads to.
fn place(path: &Path) -> Option<PathBuf> {
    let beside = || {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        Some(fs::canonicalize(folder.unwrap_or(Path::new("."))).ok()?.join(path.file_name()?))
    };
    fs::canonicalize(path).ok().or_else(beside)
}

/// Says that `path` cannot be written.
pub fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::bad_input(format!("cannot write {}: {error}", path.display()), "give a path that can be written")
}

#[cfg(test)]
mod tests {
    use super::{apart, is_same, probe};
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_file_is_the_same_by_every_name_that_it_has_or_will_have() {
        let folder = tempfile::tempdir().expect("a folder");
        let in_folder = |name: &str| folder.path().join(name);
        fs::write(in_folder("one"), "text").expect("a file");
        fs::hard_link(in_folder("one"), in_folder("hard")).expect("a link");
        assert!(is_same(&in_folder("one"), &in_folder("./one")));
        assert!(is_same(&in_folder("gone"), &in_folder("./gone")), "neither is there yet");
        assert!(!is_same(&in_folder("one"), &in_folder("gone")));
        assert!(is_same(Path::new("gone"), Path::new("./gone")));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(in_folder("one"), in_folder("soft")).expect("a link");
            assert!(is_same(&in_folder("soft"), &in_folder("hard")));
        }
        let said =
            apart(("--a", &in_folder("one")), ("--b", &in_folder("./one"))).expect_err("the same file");
        assert!(said.to_string().contains("--a and --b are the same file"), "{said}");
    }

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
