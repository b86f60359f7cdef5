//! What speaks against a result of a bug's case, though its verdict is the expected one.

use super::Bug;
use shootdown_explore::{Memory, Options, Report, Verdict};
use shootdown_machine::{Variant, judge, run};

impl Bug {
    /// Returns what speaks against `report`, of the case of `variant` under `memory`.
    pub(super) fn objections(&self, variant: Variant, report: &Report, memory: Memory) -> Vec<String> {
        let mut objections = judge::names(&report.survey);
        match (variant, &report.verdict) {
            // The words are stated for one memory model.
            (Variant::Broken, verdict) if memory == self.memory => objections.extend(self.other_end(verdict)),
            (Variant::Fixed, Verdict::Holds) => {
                objections.extend(self.kept(report));
                objections.extend(self.not_for_all(memory));
            }
            _ => {}
        }
        objections
    }

    /// What a broken protocol that goes wrong in another way than the case states says instead.
    fn other_end(&self, verdict: &Verdict) -> Option<String> {
        let words =
            verdict.words().filter(|words| verdict.is_finding() && !judge::ends_as(words, self.ends))?;
        Some(format!("it ends otherwise than the case states: {words:?}, stated {:?}", self.ends))
    }

    /// What the broken protocol gives away and the mended one never does: a fix that does nothing breaks no rule.
    fn kept(&self, report: &Report) -> Option<String> {
        let [broken, fixed] = [Variant::Broken, Variant::Fixed].map(|variant| self.model(variant).ok());
        let mut kept = judge::never_given_away(&broken?, &fixed?, report, self.memory);
        kept.retain(|what| !self.argued.iter().any(|(known, _)| known == what));
        let what = kept.join(", ");
        (!kept.is_empty())
            .then(|| format!("the mended protocol never comes to what the broken one does: {what}"))
    }

    /// A protocol for any architecture that does not hold on all of them.
    fn not_for_all(&self, memory: Memory) -> Option<String> {
        if self.arch != "generic" || memory == Memory::Pso {
            return None;
        }
        let options = Options { memory: Memory::Pso, ..Options::default() };
        let verdict = run(&self.model(Variant::Fixed).ok()?, &options).verdict;
        let words = verdict.words().filter(|_| verdict.is_finding())?;
        Some(format!(
            "`arch` is generic, and the mended protocol does not hold where stores pass each other (pso): {words}"
        ))
    }
}
