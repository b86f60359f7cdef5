//! The places at which a panic is known and argued.

use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// A place in the source: file and text of the line, so that lines may move.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    file: String,
    text: String,
}

impl Place {
    /// Reads a place as the compiler notes it, `file:line:column`, from the sources in `root`. Of a file that is not
    /// there (the core library's) the line's number stands for its text.
    pub fn of(root: &Path, noted: &str) -> Self {
        let mut parts = noted.rsplitn(3, ':');
        let (_, line, file) = (parts.next(), parts.next().unwrap_or_default(), parts.next().unwrap_or(noted));
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
        let text = line.parse().ok().and_then(|line: usize| source.lines().nth(line.checked_sub(1)?));
        Self { file: file.to_owned(), text: text.unwrap_or(line).trim().to_owned() }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} | {}", self.file, self.text)
    }
}

/// Places, and why a panic stays there.
#[derive(Debug)]
pub struct Known(BTreeMap<Place, String>);

impl Known {
    /// Reads lines `file | text | why`.
    ///
    /// # Errors
    /// A line that is none of these, nor a comment.
    pub fn parse(list: &str) -> Result<Self> {
        let mut known = BTreeMap::new();
        for line in list.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            // The source text may hold bars itself.
            let parts =
                line.split_once(" | ").and_then(|(file, rest)| Some((file, rest.rsplit_once(" | ")?)));
            let (file, (text, why)) =
                parts.with_context(|| format!("not `file | line of source | why`: {line}"))?;
            let place = Place { file: file.to_owned(), text: text.to_owned() };
            ensure!(known.insert(place, why.to_owned()).is_none(), "listed twice: {line}");
        }
        Ok(Self(known))
    }

    /// Why a panic stays at `place`, if that is known.
    pub fn why(&self, place: &Place) -> Option<&str> {
        self.0.get(place).map(String::as_str)
    }

    /// All places.
    pub fn places(&self) -> impl Iterator<Item = &Place> {
        self.0.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, Place};
    use std::path::Path;

    #[test]
    fn a_place_is_found_again_when_lines_have_moved() {
        let known = Known::parse("# head\n\na.rs | x[a | b] | never happens\n").expect("a list");
        let place = Place { file: "a.rs".into(), text: "x[a | b]".into() };
        assert_eq!(known.why(&place), Some("never happens"));
        assert!(Known::parse("a.rs | x").is_err());
        assert!(Known::parse("a.rs | x | y\na.rs | x | z").is_err());
    }

    #[test]
    fn a_noted_place_is_read_from_the_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let place = Place::of(root, "measure/known.rs:3:5");
        assert_eq!(place.to_string(), "measure/known.rs | use anyhow::{Context, Result, ensure};");
        assert_eq!(Place::of(root, "/rustc/core.rs:7:1").to_string(), "/rustc/core.rs | 7");
    }
}
