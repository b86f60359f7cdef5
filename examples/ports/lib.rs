//! Applies the mistakes in `wrong/` to the platforms beside it.
//!
//! A mistake is a file of three header lines and hunks: lines that begin with a space or `-` stand in the platform, once;
//! those with a space or `+` take their place.

use std::path::Path;

/// A platform with one mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Name of the file, without its end.
    pub name: String,
    /// The platform's file that it changes.
    pub platform: String,
    /// The check that must find it, or several with commas between.
    pub check: String,
    /// The mistake, in words.
    pub about: String,
    hunks: Vec<[String; 2]>,
}

impl Wrong {
    /// Reads a mistake.
    ///
    /// # Panics
    /// On a file that is none.
    pub fn parse(name: &str, text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").expect("a head and hunks");
        let field = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            line.unwrap_or_else(|| panic!("{name}: no {key}")).to_owned()
        };
        let side = |hunk: &str, sign: char| -> String {
            hunk.lines()
                .filter_map(|line| line.strip_prefix(sign).or_else(|| line.strip_prefix(' ')))
                .map(|line| format!("{line}\n"))
                .collect()
        };
        Self {
            name: name.to_owned(),
            platform: field("platform"),
            check: field("check"),
            about: field("about"),
            hunks: body.split("\n\n").map(|hunk| [side(hunk, '-'), side(hunk, '+')]).collect(),
        }
    }

    /// The platform's source with the mistake in it.
    ///
    /// # Panics
    /// If what it replaces is not there once.
    pub fn applied(&self, sound: &str) -> String {
        self.hunks.iter().fold(sound.to_owned(), |text, [old, new]| {
            assert_eq!(text.matches(old.as_str()).count(), 1, "{}: must stand there once:\n{old}", self.name);
            text.replacen(old.as_str(), new, 1)
        })
    }
}

/// Reads all mistakes of the folder of this package, by name.
///
/// # Panics
/// If they cannot be read.
pub fn all(folder: &Path) -> Vec<Wrong> {
    let entries = std::fs::read_dir(folder.join("wrong")).expect("the folder of mistakes");
    let mut all: Vec<Wrong> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_stem().expect("a name").to_string_lossy();
            Wrong::parse(&name, &std::fs::read_to_string(&path).expect("a readable file"))
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}
