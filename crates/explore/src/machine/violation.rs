use std::fmt;

/// A fault of a step or a state. The variants are in the order in which they matter: what a model gets wrong
/// comes before what it shows.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Violation {
    /// The code under check asks for what this machine does not have, or breaks the rules for such code.
    Misuse(String),
    /// The code under check panicked.
    Panic(String),
    /// A rule is broken.
    Rule(Broken),
}

/// A broken rule, in words and in numbers. The words hold the numbers, so they alone decide whether two are the same.
#[derive(Clone, Debug, Default)]
pub struct Broken {
    /// One sentence.
    pub words: String,
    /// Number of the rule, where it has one.
    pub rule: Option<u8>,
    /// The page that is concerned.
    pub page: Option<usize>,
    /// The frame that is concerned.
    pub frame: Option<usize>,
}

impl Violation {
    /// Returns what it says.
    pub fn words(&self) -> &str {
        match self {
            Self::Misuse(words) | Self::Panic(words) => words,
            Self::Rule(broken) => &broken.words,
        }
    }
}

/// A broken rule that has no number.
impl<T: Into<Broken>> From<T> for Violation {
    fn from(broken: T) -> Self {
        Self::Rule(broken.into())
    }
}

impl From<String> for Broken {
    fn from(words: String) -> Self {
        Self { words, ..Self::default() }
    }
}

impl From<&str> for Broken {
    fn from(words: &str) -> Self {
        words.to_owned().into()
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

impl PartialEq for Broken {
    fn eq(&self, other: &Self) -> bool {
        self.words == other.words
    }
}

impl Eq for Broken {}

impl PartialOrd for Broken {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Broken {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.words.cmp(&other.words)
    }
}
