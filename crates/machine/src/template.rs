//! A first sketch, for an author to replace.

use crate::sketch::name_problem;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// A bug that shows; `@NAME@` and `@FILE@` stand for the model's name and that of its file.
const SKETCH: &str = include_str!("template/sketch.rs");

/// Why nothing was written: the fault with its value, and what to do instead.
#[derive(Debug, PartialEq, Eq)]
pub struct Refused {
    /// The fault.
    pub what: String,
    /// What to do.
    pub remedy: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  {}", self.what, self.remedy)
    }
}

/// Writes the file of a sketch called `name` to `folder`; returns its path.
///
/// # Errors
/// A name that no model can have, a file that is there already, a folder that cannot be written to.
pub fn sketch(name: &str, folder: &Path) -> Result<PathBuf, Refused> {
    let module = module(name)?;
    let path = folder.join(format!("{module}.rs"));
    write(&path, &SKETCH.replace("@NAME@", name).replace("@FILE@", &module))?;
    Ok(path)
}

/// Returns the name of the module of a model.
///
/// # Errors
/// A name that no model can have.
pub fn module(name: &str) -> Result<String, Refused> {
    if name_problem(name).is_some() {
        return Err(Refused {
            what: format!("{name:?} is no name for a bug"),
            remedy: "names are small words and digits joined by hyphens, kernel first, as in toy-1a2b3c4d-counted-acks",
        });
    }
    Ok(name.replace('-', "_"))
}

/// Refuses a file that is there already.
///
/// # Errors
/// It is.
pub fn must_be_new(path: &Path) -> Result<(), Refused> {
    if path.exists() { Err(in_the_way(path)) } else { Ok(()) }
}

/// Writes a file that must not be there yet.
///
/// # Errors
/// It is there, or cannot be written.
pub fn write(path: &Path, text: &str) -> Result<(), Refused> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => in_the_way(path),
        _ => Refused {
            what: format!("cannot write {}: {error}", path.display()),
            remedy: "give --dir a folder that is there and can be written to",
        },
    })
}

fn in_the_way(path: &Path) -> Refused {
    Refused {
        what: format!("{} is there already, and is left as it is", path.display()),
        remedy: "choose another name, or another folder with --dir",
    }
}

#[cfg(test)]
mod tests {
    use super::SKETCH;

    #[test]
    fn a_first_sketch_is_short() {
        let lines = SKETCH.lines().count();
        assert!(lines <= 40, "{lines} lines");
    }
}
