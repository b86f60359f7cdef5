//! What speaks against a result of a bug's case, though its verdict is the expected one.

use super::{Bug, Stage};
use shootdown_explore::{Memory, Report, Verdict};
use shootdown_machine::{Expected, Variant, objections};

impl Bug {
    /// Returns what speaks against `report`, of the case of `stage` under `memory`.
    pub(super) fn objections(&self, stage: &Stage, report: &Report, memory: Memory) -> Vec<String> {
        let mut objections = objections::names(&report.survey);
        objections.extend(objections::unshown(&report.survey, self.code));
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

    /// Returns the lines of the bug's own file that could make a step and that none of its protocols reaches; `report`
    /// is of the case of `stage`. Empty unless that is the mended one, and holds.
    pub(super) fn unreached(&self, stage: &Stage, report: &Report) -> Vec<String> {
        let mended = stage.variant == Some(Variant::Fixed) && report.verdict == Verdict::Holds;
        let Some(file) = self.code.first().filter(|_| mended) else { return Vec::new() };
        let stages = self.stages().into_iter().filter(|other| other.name != stage.name);
        let others = stages.filter_map(|other| self.model_of(&other).ok());
        objections::unreached(&report.survey, others, self.memory, *file)
    }

    /// What the broken protocol gives away and the mended one never does: a fix that does nothing breaks no rule.
    fn kept(&self, report: &Report) -> Option<String> {
        let [broken, fixed] = [Variant::Broken, Variant::Fixed].map(|variant| self.model(variant).ok());
        let mut kept = objections::never_given_away(&broken?, &fixed?, report, self.memory);
        kept.retain(|what| !self.argued.iter().any(|(known, _)| known == what));
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
