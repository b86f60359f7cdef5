use shootdown_explore::{Memory, Options, Scenario, explore, replay};
use shootdown_machine::{Case, Expected, Kind, Variant};

/// Where a bug is from and what it takes to show it.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// Name of the pair of cases, without the variant.
    pub name: &'static str,
    /// Number in the collection of bugs.
    pub id: &'static str,
    /// The commit that fixed it.
    pub source: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Architecture, or `generic`.
    pub arch: &'static str,
    /// Class of bug.
    pub class: Class,
    /// Rules SD-n that the broken protocol breaks.
    pub rules: &'static [u8],
    /// What shows it.
    pub needs: Needs,
    /// CPUs of the smallest machine that shows it as modelled.
    pub cpus: usize,
    /// Memory model of the architecture, used by default.
    pub memory: Memory,
    /// One sentence: what goes wrong.
    pub about: &'static str,
    /// A page of prose for someone who never saw it.
    pub story: &'static str,
}

/// Classes of bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// CPU masks, borrowing, lazy TLB.
    Mask,
    /// Ordering between switching in and flushing.
    Ordering,
    /// Flushing against freeing.
    FlushBeforeFree,
    /// Lifetime by reference counts.
    Lifetime,
}

/// What it takes to show a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Interleaving of sequentially consistent steps.
    Interleaving,
    /// Stores that wait in a store buffer.
    StoreBuffer,
}

/// Makes the two cases of a bug from its model.
pub(crate) fn pair<S, B>(header: &Header, build: B) -> [Case; 2]
where
    S: Scenario,
    B: Fn(Variant) -> S + Copy + Send + Sync + 'static,
{
    [Variant::Broken, Variant::Fixed].map(|variant| {
        let (word, expected) = match variant {
            Variant::Broken => ("broken", Expected::Violates),
            _ => ("fixed", Expected::Holds),
        };
        Case {
            name: format!("{}/{word}", header.name),
            kind: Kind::Corpus,
            variant,
            expected,
            memory: header.memory,
            cpus: header.cpus,
            deep: false,
            groups: &["corpus"],
            about: header.about.to_owned(),
            story: header.story,
            run: Box::new(move |options: &Options<'_>| explore(&build(variant), options)),
            replay: Box::new(move |options, moves| replay(&build(variant), options, moves)),
        }
    })
}
