//! A part of a check: which cases fall into it, and the lines that frame its results for `shootdown merge`.

use serde::{Deserialize, Serialize};
use shootdown_machine::Case;
use std::fmt;

use crate::args::CheckArgs;
use crate::record::{Entry, Record};

/// Most parts; beyond this most of them have no case at all.
const MAX_SHARDS: usize = 4096;

/// One of several parts of a check: `I/N`, I from 1.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Shard {
    index: usize,
    of: usize,
}

impl Shard {
    /// The whole check.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// Reads `I/N`.
    ///
    /// # Errors
    /// What it should look like.
    pub fn parse(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, of)| Some((number(index)?, number(of)?)));
        match numbers {
            Some((_, of)) if of == 0 || of > MAX_SHARDS => {
                Err(format!("there may be 1 to {MAX_SHARDS} shards, as in 1/3, 2/3 and 3/3"))
            }
            Some((index, of)) if (1..=of).contains(&index) => Ok(Self { index, of }),
            Some((_, of)) => Err(format!("the shards of {of} are 1/{of} to {of}/{of}")),
            None => Err("give the shard and how many there are, as in 1/3, 2/3 and 3/3".to_owned()),
        }
    }

    /// Which one, from 1.
    pub fn index(self) -> usize {
        self.index
    }

    /// How many there are.
    pub fn of(self) -> usize {
        self.of
    }

    /// All shards of as many.
    pub fn siblings(self) -> impl Iterator<Item = Self> {
        (1..=self.of).map(move |index| Self { index, of: self.of })
    }

    /// Whether the case at `place` of the whole check falls into this shard.
    ///
    /// Cases go round in turn: those that resemble each other, and take alike long, stand side by side in the
    /// catalogue. Everybody who knows the whole list comes to the same parts; measured times would differ from host to
    /// host.
    pub fn has(self, place: usize) -> bool {
        place % self.of == self.index - 1
    }

    /// Leaves of `all` what falls into this shard, in the same order.
    pub fn part<T: Copy>(self, all: &[T]) -> Vec<T> {
        let mine = all.iter().enumerate().filter(|(place, _)| self.has(*place));
        mine.map(|(_, &item)| item).collect()
    }
}

/// Digits alone: `parse` would take a sign too.
fn number(text: &str) -> Option<usize> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

impl TryFrom<String> for Shard {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

/// First line of a shard's results: what was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Which shard.
    pub shard: Shard,
    /// Version of this program.
    pub version: String,
    /// Digest of all cases that the program has, by name, machine and expectation.
    pub catalogue: String,
    /// What was asked for.
    pub flags: Flags,
}

/// What decides which cases run and how they come out; all shards of a check have the same.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Flags {
    /// Names, groups and patterns.
    pub names: Vec<String>,
    /// `--cpus`.
    pub cpus: Option<usize>,
    /// `--deep`.
    pub deep: bool,
    /// `--no-engine`.
    #[serde(default)]
    pub no_engine: bool,
    /// `--drop-rule` or `--drop-site`.
    pub removed: Option<String>,
    /// `--keep-going`.
    pub keep_going: bool,
    /// `--memory`.
    pub memory: Option<String>,
    /// `--deadline`, in seconds.
    pub deadline: Option<f64>,
    /// `--memory-budget`, in bytes.
    pub memory_budget: Option<u64>,
    /// `--no-reduction`.
    pub no_reduction: bool,
    /// `--contexts`.
    #[serde(default)]
    pub contexts: Option<u16>,
    /// `--random`.
    #[serde(default)]
    pub random: Option<u64>,
    /// `--seed`.
    #[serde(default)]
    pub seed: Option<u64>,
    /// `--all-findings`.
    #[serde(default)]
    pub all_findings: bool,
}

impl Flags {
    /// Reads what matters out of `args`. The number of worker threads is left out: it changes no result.
    pub fn of(args: &CheckArgs) -> Self {
        let limits = args.limits.recorded();
        Self {
            names: args.names.clone(),
            cpus: args.cpus,
            deep: args.deep,
            no_engine: args.no_engine,
            removed: args.removal.removed().map(|removed| removed.name.clone()),
            keep_going: args.keep_going,
            memory: limits.memory.map(|memory| memory.name().to_owned()),
            deadline: limits.deadline.map(|deadline| deadline.as_secs_f64()),
            memory_budget: limits.memory_budget,
            no_reduction: limits.no_reduction,
            contexts: limits.contexts,
            random: limits.random.map(|random| random.runs),
            seed: limits.random.map(|random| random.seed),
            all_findings: args.all_findings,
        }
    }

    /// Returns the first thing in which `self` and `other` differ: its option, and both values.
    pub fn difference(&self, other: &Self) -> Option<(String, String, String)> {
        let (one, two) = (fields(self), fields(other));
        one.into_iter().zip(two).find(|(one, two)| one != two).map(|((name, one), (_, two))| (name, one, two))
    }
}

/// What `--json` calls each flag, and its value.
fn fields(flags: &Flags) -> Vec<(String, String)> {
    let option = |name: &str| match name {
        "names" => "NAME".to_owned(),
        "removed" => "--drop-rule".to_owned(),
        other => format!("--{}", other.replace('_', "-")),
    };
    match serde_json::to_value(flags) {
        Ok(serde_json::Value::Object(object)) => {
            object.into_iter().map(|(name, value)| (option(&name), value.to_string())).collect()
        }
        _ => Vec::new(),
    }
}

/// Last line of a shard's results.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// Which shard ends.
    pub end: Shard,
    /// How many results came before.
    pub results: usize,
    /// Whether Ctrl-C cut it short.
    pub interrupted: bool,
}

/// A line of a shard's results.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(untagged)]
#[expect(
    clippy::large_enum_variant,
    reason = "a line is read and taken apart at once, and nearly all are records"
)]
pub enum Line {
    /// The first.
    Head(Head),
    /// The last.
    End(End),
    /// One in between.
    Record(Record),
}

impl Head {
    /// Describes shard `shard` of the check that `args` asks for, with `cases` as the whole catalogue.
    pub fn new(shard: Shard, args: &CheckArgs, cases: &[Case]) -> Self {
        Self {
            shard,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            catalogue: digest(cases),
            flags: Flags::of(args),
        }
    }
}

/// Returns a digest of `cases`: 64-bit FNV-1a over what `--list --json` says of each.
pub fn digest(cases: &[Case]) -> String {
    const START: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x100_0000_01b3;
    let entries = cases.iter().filter_map(|case| serde_json::to_string(&Entry::new(case, None)).ok());
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    let hash = entries.fold(START, |hash, entry| entry.bytes().fold(hash, mix));
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::{Flags, Shard, digest};
    use crate::testing::engine_case;

    #[test]
    fn a_shard_is_read_and_written_alike() {
        for text in ["1/1", "1/3", "3/3", "4096/4096"] {
            assert_eq!(Shard::parse(text).expect("a shard").to_string(), text);
        }
    }

    #[test]
    fn what_is_no_shard_is_refused_with_the_range() {
        for (text, said) in [
            ("0/3", "the shards of 3 are 1/3 to 3/3"),
            ("4/3", "the shards of 3 are 1/3 to 3/3"),
            ("1/0", "1 to 4096"),
            ("1/4097", "1 to 4096"),
            ("1", "as in 1/3"),
            ("", "as in 1/3"),
            ("/", "as in 1/3"),
            ("+1/3", "as in 1/3"),
            ("-1/3", "as in 1/3"),
            ("1/3/5", "as in 1/3"),
            ("99999999999999999999999/3", "as in 1/3"),
        ] {
            let refusal = Shard::parse(text).expect_err(text);
            assert!(refusal.contains(said), "{text}: {refusal}");
        }
    }

    #[test]
    fn every_case_falls_into_exactly_one_shard_and_shares_differ_by_at_most_one() {
        for of in 1..=7 {
            for count in 0..20_usize {
                let all: Vec<usize> = (0..count).collect();
                let shards = Shard::parse(&format!("1/{of}")).expect("a shard").siblings();
                let parts: Vec<Vec<usize>> = shards.map(|shard| shard.part(&all)).collect();
                let mut together = parts.concat();
                together.sort_unstable();
                assert_eq!(together, all);
                let sizes = parts.iter().map(Vec::len);
                assert!(sizes.clone().max().expect("a part") - sizes.min().expect("a part") <= 1);
            }
        }
    }

    #[test]
    fn the_first_flag_that_differs_is_named_as_on_the_command_line() {
        let plain = Flags::default();
        assert_eq!(plain.difference(&plain.clone()), None);
        let other = Flags { memory_budget: Some(5), ..Flags::default() };
        let difference = plain.difference(&other).expect("one");
        assert_eq!(difference, ("--memory-budget".into(), "null".into(), "5".into()));
    }

    #[test]
    fn another_list_of_cases_has_another_digest() {
        let digests = [vec![engine_case("a", 2)], vec![engine_case("a", 3)], vec![engine_case("b", 2)]];
        let [one, two, three] = digests.map(|cases| digest(&cases));
        assert!(one != two && one != three && two != three);
        assert_eq!(one, digest(&[engine_case("a", 2)]));
    }
}
