//! What speaks against a result of a bug's case, though its verdict is the expected one.

use super::{Bug, Stage};
use shootdown_explore::{Memory, Options, Report, Scenario, Survey, Verdict};
use shootdown_machine::{Expected, Variant, run};
use std::collections::BTreeSet;

impl Bug {
    /// Returns what speaks against `report`, of the case of `stage` under `memory`.
    pub(super) fn objections(&self, stage: &Stage, report: &Report, memory: Memory) -> Vec<String> {
        let mut objections = names(&report.survey);
        match (stage.right.under(memory), &report.verdict) {
            // The words are stated for one memory model.
            (Expected::Violates, verdict) if memory == self.memory => {
                objections.extend(other_end(stage, verdict))
            }
            (Expected::Holds, Verdict::Holds) if stage.variant == Some(Variant::Fixed) => {
                objections.extend(self.kept(report));
            }
            _ => {}
        }
        objections
    }

    /// What the broken protocol gives away and the mended one never does: a fix that does nothing breaks no rule.
    fn kept(&self, report: &Report) -> Option<String> {
        let [broken, fixed] = [Variant::Broken, Variant::Fixed].map(|variant| self.model(variant).ok());
        let (broken, fixed) = (broken?, fixed?);
        let options = Options { memory: self.memory, survey: true, shortest: false, ..Options::default() };
        let before = broken.device().given_away(&run(&broken, &options).survey);
        let after: BTreeSet<String> = fixed.device().given_away(&report.survey);
        let argued = |what: &str| self.argued.iter().any(|(known, _)| *known == what);
        let kept: Vec<&str> =
            before.difference(&after).map(String::as_str).filter(|what| !argued(what)).collect();
        let what = kept.join(", ");
        (!kept.is_empty())
            .then(|| format!("the mended protocol never comes to what the broken one does: {what}"))
    }
}

/// What a protocol that goes wrong in another way than the case states says instead.
fn other_end(stage: &Stage, verdict: &Verdict) -> Option<String> {
    let words = verdict.words().filter(|words| verdict.is_finding() && !stage.ends_as(words))?;
    Some(format!("it ends otherwise than the case states: {words:?}, stated {:?}", stage.ends))
}

/// What the words that a drawing cannot call by a name of their own lack.
fn names(survey: &Survey) -> Vec<String> {
    let stray = |word: &&str| {
        format!("the word {word:?} is in no object that `register` names: give that to `Registry::object`")
    };
    let alike = |word: &&str| {
        format!("several words of one object are called {word:?}: `Registry::array` names those of an array")
    };
    survey.unnamed.iter().map(stray).chain(survey.alike.iter().map(alike)).collect()
}
