//! Whether the engine that is checked is the one whose source lies here.
//!
//! The engine's source is compiled into this program. Where that source is edited afterwards, or a built tree is copied
//! to another folder and edited there, a result would be about something that nobody looks at: it is refused.

use std::env;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

#[path = "../../../checks/source.rs"]
#[expect(dead_code, reason = "build scripts follow the sources; this program compares them")]
mod source;

/// Where the engine's source lies in a checkout.
pub const ENGINE: &str = "crates/shootdown/src";
/// What only a checkout has, and not a copy of the engine in another kernel.
const CHECKED: &str = "checks/explorer/Cargo.toml";

/// A folder of a checkout whose source is compiled into this program, and the hash of what was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Compiled {
    folder: &'static str,
    hash: &'static str,
}

/// All of them. The engine is there twice: for the explorer, and for the bench where that is in this build.
const COMPILED: &[Compiled] = &[
    Compiled { folder: ENGINE, hash: shootdown_cases::ENGINE_SOURCE },
    #[cfg(feature = "full")]
    Compiled { folder: ENGINE, hash: shootdown_bench::ENGINE_SOURCE },
];

/// Hash of the engine's source that this program was compiled from.
pub const fn engine() -> &'static str {
    shootdown_cases::ENGINE_SOURCE
}

/// Refuses to go on if the checkout here has other sources than this program was compiled from.
///
/// # Errors
/// It has, or they cannot be read.
pub fn compare() -> Result<(), Failure> {
    checkout().map_or(Ok(()), |checkout| compare_with(&checkout, COMPILED))
}

/// The checkout that a user of this program has before them, if there is one: around the current folder or around this
/// program, and where one of those lies in the other (a copy in the target folder), the inner one; else the one from
/// which this program was built.
pub fn checkout() -> Option<PathBuf> {
    let here = env::current_dir().ok().and_then(|folder| around(&folder));
    let program = env::current_exe().ok().and_then(|file| around(&file));
    nearest(here, program).or_else(|| around(Path::new(env!("CARGO_MANIFEST_DIR"))))
}

fn nearest(here: Option<PathBuf>, program: Option<PathBuf>) -> Option<PathBuf> {
    match (here, program) {
        (Some(here), Some(program)) if program.starts_with(&here) => Some(program),
        (here, program) => here.or(program),
    }
}

/// The checkout that holds `place`.
fn around(place: &Path) -> Option<PathBuf> {
    let is_checkout =
        |folder: &&Path| folder.join(ENGINE).join("lib.rs").is_file() && folder.join(CHECKED).is_file();
    place.ancestors().find(is_checkout).map(Path::to_path_buf)
}

fn compare_with(checkout: &Path, compiled: &[Compiled]) -> Result<(), Failure> {
    for Compiled { folder, hash } in compiled {
        let place = checkout.join(folder);
        let found = source::hash(&place).map_err(|error| {
            Failure::bad_input(
                format!("cannot read {}, which this program was compiled from: {error}", place.display()),
                "run from a whole checkout, or outside of it",
            )
        })?;
        if found != *hash {
            return Err(Failure::bad_input(
                format!(
                    "this program was not compiled from the source in {}: that has hash {found}, this was compiled from {hash}",
                    place.display()
                ),
                format!(
                    "`cargo build --release` in {} compiles it; if cargo finds nothing to do, as times were lost when the \
                     files were copied, `touch {folder}/lib.rs` first",
                    checkout.display()
                ),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        CHECKED, COMPILED, Compiled, ENGINE, around, compare, compare_with, engine, nearest, source,
    };
    use std::fs;
    use std::path::{Path, PathBuf};

    fn write(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    #[test]
    fn these_tests_were_compiled_from_their_own_checkout() {
        compare().expect("the same sources");
        assert_eq!(engine().len(), 16);
        assert!(COMPILED.iter().filter(|compiled| compiled.folder == ENGINE).all(|c| c.hash == engine()));
    }

    #[test]
    fn a_checkout_is_known_by_more_than_a_copy_of_the_engine() {
        let folder = tempfile::tempdir().expect("a folder");
        let inside = folder.path().join("target/release/shootdown");
        write(&folder.path().join(ENGINE).join("lib.rs"), "");
        assert_eq!(around(&inside), None);
        write(&folder.path().join(CHECKED), "");
        assert_eq!(around(&inside).as_deref(), Some(folder.path()));
        assert_eq!(around(folder.path()).as_deref(), Some(folder.path()));
    }

    #[test]
    fn a_copy_inside_the_checkout_counts_and_else_the_current_folder() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(nearest(path("/a"), path("/a/target/copy")), path("/a/target/copy"));
        assert_eq!(nearest(path("/a/target/copy"), path("/a")), path("/a/target/copy"));
        assert_eq!(nearest(path("/a"), path("/b")), path("/a"));
        assert_eq!(nearest(None, path("/b")), path("/b"));
        assert_eq!(nearest(path("/a"), None), path("/a"));
    }

    #[test]
    fn other_sources_are_refused_with_folder_both_hashes_and_the_remedy() {
        let folder = tempfile::tempdir().expect("a folder");
        write(&folder.path().join(ENGINE).join("lib.rs"), "// edited");
        let found = source::hash(&folder.path().join(ENGINE)).expect("readable");
        let compiled = |hash| [Compiled { folder: ENGINE, hash }];
        let same: &'static str = Box::leak(found.clone().into_boxed_str());
        compare_with(folder.path(), &compiled(same)).expect("the same");
        let said =
            compare_with(folder.path(), &compiled("0123456789abcdef")).expect_err("refused").to_string();
        let place = folder.path().join(ENGINE).display().to_string();
        for part in [place.as_str(), &found, "0123456789abcdef", "cargo build --release"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let missing = [Compiled { folder: "crates/missing/src", hash: same }];
        assert!(compare_with(folder.path(), &missing).is_err());
    }
}
