use std::fmt;
use std::io;

/// Why a recording is not imported.
#[derive(Debug)]
pub enum ImportError {
    /// A line cannot be read.
    Line {
        /// Its number, from 1.
        line: u64,
        /// The fault.
        what: String,
        /// How it begins, in quotes.
        text: String,
        /// What to do instead.
        remedy: String,
    },
    /// Every line can be read, and what they say together means nothing.
    Recording {
        /// The fault.
        what: String,
        /// What to do instead.
        remedy: String,
    },
    /// The recording cannot be read to its end.
    Read(io::Error),
    /// The trace cannot be written.
    Write(io::Error),
}

impl ImportError {
    pub(super) fn line(line: u64, text: &[u8], what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Line { line, what: what.into(), text: shown(text), remedy: remedy.into() }
    }

    pub(super) fn recording(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Recording { what: what.into(), remedy: remedy.into() }
    }

    /// What to do instead.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Line { remedy, .. } | Self::Recording { remedy, .. } => remedy,
            Self::Read(_) => "the recording must be readable to its end",
            Self::Write(_) => "`--out` names another file",
        }
    }
}

impl fmt::Display for ImportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { line, what, text, .. } => write!(f, "line {line}: {what}: {text}"),
            Self::Recording { what, .. } => write!(f, "{what}"),
            Self::Read(error) => write!(f, "cannot be read: {error}"),
            Self::Write(error) => write!(f, "the trace cannot be written: {error}"),
        }
    }
}

impl std::error::Error for ImportError {}

/// What an error shows of a line: its beginning, on one line, with what cannot be printed escaped.
pub fn shown(text: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(text.trim_ascii());
    let cut: String = text.chars().take(LONGEST).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{dots}")
}
