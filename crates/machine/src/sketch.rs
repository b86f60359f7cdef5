//! A protocol in two variants with next to nothing around it, and what is to be said of it.

use crate::case::{Expected, Model, Variant, run};
use crate::objections::{self, Mutant};
use crate::sources::shows_source;
use shootdown_explore::{Memory, Options, Report, Verdict, built, caught, named};

/// A model of a protocol as it was and as it was mended: a reader of a kernel begins with one. There is no
/// story, no source and no scenario of the engine; `shootdown_cases::bugs::Bug::of` makes a bug of it that has those.
#[derive(Clone, Copy, Debug)]
pub struct Sketch {
    /// Small words joined by hyphens, the kernel first, as in `toy-munmap`.
    pub name: &'static str,
    /// One sentence: what goes wrong. May be empty.
    pub about: &'static str,
    /// Memory model of the machine.
    pub memory: Memory,
    /// How the broken protocol ends, in the oracle's words; places in the code may be left out. Where it is empty, any
    /// of the rules SD-n may be broken.
    pub ends: &'static str,
    /// The model's source: file name and text, the model's own file first.
    pub code: &'static [(&'static str, &'static str)],
    /// Builds the protocol.
    pub build: fn(Variant) -> Model,
}

/// One variant of a sketch, after a run.
#[derive(Debug)]
pub struct Checked {
    /// `NAME/broken` or `NAME/fixed`.
    pub name: String,
    /// Which it is.
    pub variant: Variant,
    /// CPUs of its machine.
    pub cpus: usize,
    /// What came out.
    pub report: Report,
    /// What speaks against that. None: all is as expected.
    pub objections: Vec<String>,
}

impl Sketch {
    /// A sketch of what `build` makes, for a machine whose stores pass each other ([`Memory::Pso`]): what holds there
    /// holds on stronger machines. `code` is the file that it stands in: `&[("munmap.rs", include_str!("munmap.rs"))]`.
    pub const fn new(
        name: &'static str,
        code: &'static [(&'static str, &'static str)],
        build: fn(Variant) -> Model,
    ) -> Self {
        Self { name, about: "", memory: Memory::Pso, ends: "", code, build }
    }

    /// Builds one variant's protocol.
    ///
    /// # Errors
    /// What the panic says in which that ends.
    pub fn model(&self, variant: Variant) -> Result<Model, String> {
        let _named = named(&self.case_name(variant));
        built(|| caught(|| (self.build)(variant)))
    }

    /// Returns what is wrong with the sketch before anything runs; each says which field, and shows a right one.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = name_problem(self.name).into_iter().collect();
        if !shows_source(self.code) {
            problems.push(
                "`code` shows no source: give the model's file by its name without folders, as in &[(\"munmap.rs\", include_str!(\"munmap.rs\"))]"
                    .to_owned(),
            );
        }
        let [broken, fixed] = [Variant::Broken, Variant::Fixed].map(|variant| {
            self.model(variant)
                .map_err(|panic| format!("`build`: the {variant:?} protocol cannot be built: {panic}"))
        });
        match (broken, fixed) {
            (Ok(broken), Ok(fixed)) => problems.extend(objections::machines(&broken, &fixed)),
            (broken, fixed) => problems.extend([broken.err(), fixed.err()].into_iter().flatten()),
        }
        problems
    }

    /// Returns the name of one variant's case: `NAME/broken`, `NAME/fixed`.
    pub fn case_name(&self, variant: Variant) -> String {
        format!("{}/{}", self.name, variant.name())
    }

    /// Visits every execution of one variant, under the memory model of `options`, and says what speaks against what
    /// came out.
    pub fn check(&self, variant: Variant, options: &Options<'_>) -> Checked {
        let options = Options { survey: true, ..options.clone() };
        let (cpus, report) = match self.model(variant) {
            Ok(model) => (model.cpus(), guarded(&model, &options)),
            Err(panic) => (0, Report::without_states(Verdict::Panics(panic))),
        };
        let mut checked =
            Checked { name: self.case_name(variant), variant, cpus, report, objections: Vec::new() };
        checked.objections = self.objections(&checked, options.memory);
        checked
    }

    /// Takes each step of the fix out of the mended protocol, under the weakest memory model under which that holds;
    /// see [`objections::mutants`].
    pub fn mutants(&self) -> Vec<Mutant> {
        let [Ok(broken), Ok(fixed)] = [Variant::Broken, Variant::Fixed].map(|variant| self.model(variant))
        else {
            return Vec::new();
        };
        let under = |memory| objections::mutants(&broken, &fixed, memory, &[]);
        let found =
            [Memory::Weak, Memory::Pso, self.memory].into_iter().map(under).find(|found| !found.is_empty());
        found.unwrap_or_default()
    }

    /// Returns the lines of the sketch's own file that could make a step and that neither protocol reaches; `fixed` is
    /// of the mended one, which holds.
    pub fn unreached(&self, fixed: &Report) -> Vec<String> {
        let Some(file) = self.code.first() else { return Vec::new() };
        let broken = || self.model(Variant::Broken).ok();
        objections::unreached(&fixed.survey, std::iter::once_with(broken).flatten(), self.memory, *file)
    }

    fn objections(&self, checked: &Checked, memory: Memory) -> Vec<String> {
        let report = &checked.report;
        let mut objections = objections::names(&report.survey);
        objections.extend(objections::unshown(&report.survey, self.code));
        match checked.variant {
            Variant::Broken => objections.extend(self.other_end(&report.verdict, memory)),
            _ if !Expected::Holds.is_met_by(&report.verdict) => {
                objections.push("the mended protocol must hold".to_owned());
            }
            _ => objections.extend(self.does_less(report)),
        }
        objections
    }

    /// What speaks against how the broken protocol ends. The words are stated for one memory model.
    fn other_end(&self, verdict: &Verdict, memory: Memory) -> Option<String> {
        if !Expected::Violates.is_met_by(verdict) {
            return Some("the broken protocol must break a rule".to_owned());
        }
        let words = verdict.words().unwrap_or_default();
        if self.ends.is_empty() {
            return unstated(verdict)
                .map(|why| format!("{why}; if this is the bug, say so: ends: {words:?}"));
        }
        (memory == self.memory && !objections::ends_as(words, self.ends))
            .then(|| format!("it ends otherwise than `ends` states: {words:?}, stated {:?}", self.ends))
    }

    fn does_less(&self, report: &Report) -> Option<String> {
        let (broken, fixed) = (self.model(Variant::Broken).ok()?, self.model(Variant::Fixed).ok()?);
        let kept = objections::never_given_away(&broken, &fixed, report, self.memory).join(", ");
        (!kept.is_empty())
            .then(|| format!("the mended protocol never comes to what the broken one does: {kept}"))
    }
}

/// Runs `model`. A panic of its parts that are no code under check is a panic of the model.
fn guarded(model: &Model, options: &Options<'_>) -> Report {
    caught(|| run(model, options)).unwrap_or_else(|panic| Report::without_states(Verdict::Panics(panic)))
}

/// Why a finding is taken for the bug only where the sketch says so.
fn unstated(verdict: &Verdict) -> Option<&'static str> {
    /// That nothing is lost: a protocol that does nothing breaks it.
    const NOTHING_LOST: u8 = 14;
    match verdict {
        Verdict::Violates(broken) if broken.rule == Some(NOTHING_LOST) => {
            Some("it gives nothing back, and breaks no rule by what it does")
        }
        Verdict::Violates(broken) if broken.rule.is_some() => None,
        Verdict::Livelock(_) => Some(
            "a loop goes on for ever, and no rule is broken; a loop that waits for a word to change is \
             `sync::wait_until(|| ...)`, one that tries again is `sync::retry(|| ...)`",
        ),
        _ => Some("it breaks none of the rules SD-n"),
    }
}

/// Returns what is wrong with the name of a model.
pub fn name_problem(name: &str) -> Option<String> {
    (!is_kebab_case(name)).then(|| {
        format!(
            "`name` {name:?} is not of the form kernel-subject, small words joined by hyphens: as in \"toy-munmap\""
        )
    })
}

/// Whether `name` is of the form `kernel-subject`: at least two parts of small letters and digits.
pub fn is_kebab_case(name: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.contains('-')
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(part)
}

#[cfg(test)]
mod tests {
    use super::is_kebab_case;

    #[test]
    fn names_are_small_words_joined_by_hyphens() {
        assert!(is_kebab_case("linux-bafb056c-sparc64-trim") && is_kebab_case("toy-acks"));
        for name in ["", "toy", "Toy-acks", "toy-", "-toy", "toy--acks", "toy_acks", "toy-ack s", "1-a"] {
            assert!(!is_kebab_case(name), "{name}");
        }
    }
}
