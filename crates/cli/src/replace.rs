//! Files that are written as a whole: an old one stays until the new one is complete.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::Failure;
use crate::files::unwritable;

/// Replaces the file at `path` by `bytes` in one step: a reader finds either what was there before, or all of `bytes`.
///
/// # Errors
/// They cannot be written; what was at `path` is still there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let put = || {
        // A link stays one, and what is no file (`/dev/null`, a pipe) cannot be replaced.
        let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if fs::metadata(&place).is_ok_and(|found| !found.is_file()) {
            return fs::write(&place, bytes);
        }
        let new = beside(&place);
        let written = OpenOptions::new().write(true).create_new(true).open(&new).and_then(|mut file| {
            file.write_all(bytes)?;
            file.flush()
        });
        let put = written.and_then(|()| fs::rename(&new, &place));
        if put.is_err() {
            let _ = fs::remove_file(&new);
        }
        put
    };
    put().map_err(|error| unwritable(path, &error))
}

/// A name in the same folder that nothing else has.
fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::replace;
    use std::fs;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("page.html");
        for text in ["old", "new"] {
            replace(&path, text.as_bytes()).expect("a place to write to");
            assert_eq!(fs::read_to_string(&path).expect("it"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("it").count(), 1);
    }

    #[test]
    fn a_folder_is_no_file_and_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let name = folder.path().display().to_string();
        assert!(replace(folder.path(), b"x").expect_err("no file").to_string().contains(&name));
        assert_eq!(fs::read_dir(folder.path()).expect("it").count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_one_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "old").expect("a file");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        replace(&link, b"new").expect("a place to write to");
        assert!(fs::symlink_metadata(&link).expect("it").is_symlink());
        assert_eq!(fs::read_to_string(&file).expect("it"), "new");
    }
}
