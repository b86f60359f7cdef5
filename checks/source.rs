//! The hash of a folder of Rust sources.
//!
//! The packages under `checks` compile sources that lie outside their own folders. Cargo keeps the absolute paths of
//! such files, so a built tree that is copied would go on checking the sources of the place where it was built. Two
//! things prevent that: each build script calls [`follow`], and the command `shootdown` compares what was compiled with
//! [`hash`] of the checkout beside it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The environment variable, and the name of the cfg in lower case, by which a package gets the hash.
const NAME: &str = "SHOOTDOWN_SOURCE";

/// Called by a build script: compiles the package anew when a file of `folder` changes, and gives it the hash of
/// `folder` as `env!("SHOOTDOWN_SOURCE")`, under `cfg(shootdown_source)`.
///
/// `folder` is relative to the package. Cargo keeps it so, and looks for it where the package is now.
///
/// # Panics
/// The folder cannot be read.
pub fn follow(folder: &str) {
    assert!(Path::new(folder).is_relative(), "{folder} would lead into the old place when the tree is moved");
    let hash = hash(Path::new(folder)).unwrap_or_else(|error| panic!("cannot read {folder}: {error}"));
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={folder}");
    println!("cargo::rustc-cfg={}", NAME.to_lowercase());
    println!("cargo::rustc-env={NAME}={hash}");
}

/// Returns the hash of the `.rs` files of `folder` and its folders: of their relative paths and contents, as 16 digits.
/// Hidden files are left out, as editors put their own there.
///
/// # Errors
/// A file or folder cannot be read, or `folder` holds no source.
pub fn hash(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    if files.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no Rust source is there"));
    }
    files.sort();
    let mut hash = Fnv::new();
    for (name, path) in files {
        hash.field(name.as_bytes());
        hash.field(&fs::read(path)?);
    }
    Ok(format!("{:016x}", hash.0))
}

/// Adds the sources of `folder`, whose own relative name is `prefix`: names with `/` on every system.
fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let relative = format!("{prefix}{name}");
        if path.is_dir() {
            collect(&path, &format!("{relative}/"), files)?;
        } else if name.ends_with(".rs") {
            files.push((relative, path));
        }
    }
    Ok(())
}

/// FNV-1a of 64 bits: it tells edits apart, and resists nobody.
struct Fnv(u64);

impl Fnv {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    /// Takes in bytes and how many they are, so that no two lists of fields run together alike.
    fn field(&mut self, bytes: &[u8]) {
        self.bytes(&(bytes.len() as u64).to_le_bytes());
        self.bytes(bytes);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Fnv, hash};
    use std::fs;
    use std::path::Path;

    fn written(folder: &Path, files: &[(&str, &str)]) -> String {
        for (name, text) in files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        hash(folder).expect("readable")
    }

    #[test]
    fn the_function_is_the_published_one() {
        let of = |text: &str| {
            let mut fnv = Fnv::new();
            fnv.bytes(text.as_bytes());
            fnv.0
        };
        // The reference values of FNV-1a, 64 bits.
        assert_eq!(of(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(of("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(of("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn each_edit_changes_it_and_the_place_does_not() {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let files = [("lib.rs", "mod a;"), ("a/b.rs", "fn f() {}")];
        let first = written(one.path(), &files);
        assert_eq!(first, written(other.path(), &[files[1], files[0]]));
        let edited = written(one.path(), &[("a/b.rs", "fn g() {}")]);
        assert_ne!(edited, first);
        assert_eq!(written(one.path(), &[files[1]]), first);
        let added = written(one.path(), &[("a/c.rs", "")]);
        fs::rename(one.path().join("a/c.rs"), one.path().join("c.rs")).expect("moved");
        let moved = hash(one.path()).expect("readable");
        assert!(added != first && moved != first && moved != added);
    }

    #[test]
    fn what_is_no_source_does_not_count_and_nothing_at_all_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(hash(folder.path()).is_err());
        let first = written(folder.path(), &[("lib.rs", "")]);
        assert_eq!(written(folder.path(), &[("lib.rs~", "x"), ("notes.md", "x"), (".#lib.rs", "x")]), first);
        assert!(hash(&folder.path().join("missing")).is_err());
    }
}
