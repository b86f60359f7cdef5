//! What a case's file says, and whether the compiler says the same.

use std::fmt;
use std::path::Path;

/// A program with one mistake.
#[derive(Debug, PartialEq, Eq)]
pub struct Case {
    /// Name of the file.
    pub name: String,
    /// Number of the rule that it guards.
    pub rule: u32,
    /// The same program without the mistake.
    pub twin: String,
    line: usize,
    expected: Expected,
}

/// What the compiler must say.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// This code, about the line of the mistake.
    Code(String),
    /// This code, about a line of the engine's.
    CodeElsewhere(String),
    /// These words of a lint, about the line of the mistake.
    Words(String),
}

/// A mistake in a case.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first line names no rule.
    NoRule,
    /// No line, or more than one, is marked.
    NoMistake,
    /// No line shows the right way.
    NoRightWay,
    /// The mistake compiles.
    Compiles,
    /// The compiler refuses something else.
    Another(String),
    /// The twin does not compile.
    Twin(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::NoRule => f.write_str("the first line must read `//! SD-n: ...`"),
            Fault::NoMistake => f.write_str("one line must end in `//~` and what the compiler says of it"),
            Fault::NoRightWay => f.write_str("a line before the mistake must begin with `//=`"),
            Fault::Compiles => f.write_str("compiles, and must not"),
            Fault::Another(line) => write!(f, "is refused for another reason: {line}"),
            Fault::Twin(said) => write!(f, "the twin must compile: {said}"),
        }
    }
}

impl Case {
    /// Reads a file.
    ///
    /// # Errors
    /// The first three of [`Fault`].
    pub fn parse(name: &str, text: &str) -> Result<Self, Fault> {
        let rule = text.strip_prefix("//! SD-").and_then(|rest| rest.split_once(": "));
        let rule = rule.and_then(|(number, _)| number.parse().ok()).ok_or(Fault::NoRule)?;
        let marked = text
            .lines()
            .enumerate()
            .filter_map(|(index, line)| Some((index + 1, line.split_once(" //~ ")?.1)));
        let [(line, mark)] = marked.collect::<Vec<_>>()[..] else { return Err(Fault::NoMistake) };
        let twin = twin(text);
        if twin.contains(" //~ ") || !text.contains("//= ") {
            return Err(Fault::NoRightWay);
        }
        Ok(Self { name: name.into(), rule, twin, line, expected: Expected::parse(mark) })
    }

    /// Compares what the compiler said of the file at `path`.
    ///
    /// # Errors
    /// [`Fault::Compiles`] and [`Fault::Another`].
    pub fn check(&self, path: &Path, said: &str) -> Result<(), Fault> {
        let here = format!("{}:{}:", path.display(), self.line);
        // Without a place are the summary and what the engine's own code is blamed for.
        let errors: Vec<&str> =
            said.lines().filter(|line| line.contains(": error") && !line.starts_with("error")).collect();
        match errors.iter().find(|line| !self.expected.is_met(line, line.starts_with(&here))) {
            Some(other) => Err(Fault::Another((*other).into())),
            None if errors.is_empty() => Err(Fault::Compiles),
            None => Ok(()),
        }
    }
}

impl Expected {
    fn parse(mark: &str) -> Self {
        if let Some(code) = mark.strip_suffix(" elsewhere") {
            return Self::CodeElsewhere(code.into());
        }
        match mark.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
            Some(words) => Self::Words(words.into()),
            None => Self::Code(mark.into()),
        }
    }

    fn is_met(&self, error: &str, at_mistake: bool) -> bool {
        match self {
            Self::Code(code) => at_mistake && error.contains(&format!(": error[{code}]: ")),
            Self::CodeElsewhere(code) => !at_mistake && error.contains(&format!(": error[{code}]: ")),
            Self::Words(words) => at_mistake && error.contains(": error: ") && error.contains(words),
        }
    }
}

/// The program with each line that shows the right way in place of the line after it.
fn twin(text: &str) -> String {
    let mut lines = text.lines();
    let mut twin = String::new();
    while let Some(line) = lines.next() {
        let indent = &line[..line.len() - line.trim_start().len()];
        if let Some(right) = line.trim_start().strip_prefix("//= ") {
            twin += &format!("{indent}{right}\n");
            lines.next();
        } else {
            twin += &format!("{line}\n");
        }
    }
    twin
}
