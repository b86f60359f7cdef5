//! What must be true of every bug's header.

use crate::bugs::{Bug, Class, Right, Stage};
use shootdown_explore::{Memory, Scenario};
use shootdown_machine::{Case, Expected, Model, is_kebab_case, name_problem, objections, shows_source};
use std::collections::BTreeMap;
use std::fmt;

/// Words of a story.
const STORY: std::ops::RangeInclusive<usize> = 150..=310;
/// Longest sentence that says what goes wrong.
const ABOUT: usize = 200;

/// Something to mend in a bug's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Name of the bug.
    pub bug: &'static str,
    /// Its file, if it names one.
    pub file: &'static str,
    /// The fault.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.bug, self.file, self.what)
    }
}

impl Bug {
    /// Returns what is wrong with the header in itself: empty fields, an id of another class, a name that is not
    /// kebab-case, rules that do not exist, a story too short or too long. Each says which field, and shows a right
    /// one.
    pub fn problems(&self) -> Vec<String> {
        let mut problems: Vec<String> = name_problem(self.name).into_iter().collect();
        problems.extend(self.empty_fields());
        let mut demand = |holds: bool, what: String| {
            if !holds {
                problems.push(what);
            }
        };
        let letter = Class::ALL.into_iter().find(|class| self.id.starts_with(class.letter()));
        demand(
            letter.is_some() && self.id.get(1..).is_some_and(is_number),
            format!("`id` {:?} is not the letter of a class, A to H, and a number, as in \"G12\"", self.id),
        );
        let kernel = self.name.split('-').next().unwrap_or_default();
        demand(
            self.kernel.to_lowercase().contains(kernel),
            format!(
                "`name` {:?} begins with another kernel than {:?}, which `kernel` says: as in \"xen-xsa401-type-flush\" and \"Xen\"",
                self.name, self.kernel
            ),
        );
        let about = self.about.chars().count();
        demand(about <= ABOUT, format!("`about` has {about} characters, at most {ABOUT}: give one sentence"));
        let words = self.story.split_whitespace().count();
        demand(
            STORY.contains(&words),
            format!(
                "`story`: a story of {words} words, not {} to {}; give a file, as in include_str!(\"linux_1a2b3c4d.md\")",
                STORY.start(),
                STORY.end()
            ),
        );
        let last = shootdown::trace::rules::LAST;
        demand(
            !self.rules.is_empty(),
            "`rules`: it breaks no rule; give numbers of rules, as in &[8] for SD-8".to_owned(),
        );
        for rule in self.rules.iter().filter(|rule| !(1..=last).contains(*rule)) {
            demand(
                false,
                format!(
                    "`rules`: there is no rule SD-{rule}; INVARIANTS.md has SD-1 to SD-{last}, as in &[8]"
                ),
            );
        }
        demand(
            shows_source(self.code),
            "`code` does not show the model's source, by file names without folders: as in &[(\"toy.rs\", include_str!(\"toy.rs\"))]"
                .to_owned(),
        );
        if self.arch == "generic" && Right::UpTo(self.fixed_under).under(Memory::Pso) == Expected::Violates {
            problems.push(
                "`arch` is generic, and `fixed_under` leaves out machines where stores pass each other (pso)"
                    .to_owned(),
            );
        }
        problems.extend(self.chain_problem());
        problems.extend(self.build_problem());
        problems
    }

    /// The fields that are empty, each with a right one.
    fn empty_fields(&self) -> impl Iterator<Item = String> {
        let fields = [
            ("source", self.source, "commit 1a2b3c4d5e6f, 2024"),
            ("title", self.title, "x86/mm: Flush before the page is freed"),
            ("kernel", self.kernel, "Linux"),
            ("arch", self.arch, "x86"),
            ("about", self.about, "The frame is freed before CPUs that run the space have flushed."),
            ("ends", self.ends, "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-8)"),
            ("engine", self.engine, "borrow-vs-unmap"),
        ];
        let empty = fields.into_iter().filter(|(_, text, _)| text.trim().is_empty());
        empty.map(|(field, _, right)| format!("the field `{field}` is empty: as in {field}: {right:?}"))
    }

    /// Returns what is wrong with the list of protocols.
    fn chain_problem(&self) -> Option<String> {
        let stages = self.stages();
        let count = |name: &str| stages.iter().filter(|stage| stage.name == name).count();
        if let Some(missing) = ["broken", "fixed"].into_iter().find(|name| count(name) == 0) {
            return Some(format!(
                "`chain` lacks the protocol `{missing}`: `Stage::broken(..)` or `Stage::FIXED`"
            ));
        }
        stages.iter().enumerate().find_map(|(at, stage)| {
            let Stage { name, change, variant, .. } = *stage;
            let is_name = is_kebab_case(&format!("a-{name}"));
            match () {
                () if !is_name => {
                    Some(format!("the protocol {name:?} is not named in small words and hyphens"))
                }
                () if count(name) > 1 => Some(format!("`chain` has two protocols called `{name}`")),
                () if at == 0 && !change.is_empty() => Some(format!(
                    "`{name}` is the first protocol, and no change made it: leave {change:?} out"
                )),
                () if at > 0 && name != "fixed" && change.is_empty() => {
                    Some(format!("`chain` does not say which change made `{name}`: `.by(\"COMMIT TITLE\")`"))
                }
                () if variant.is_none()
                    && stage.right.under(self.memory) == Expected::Violates
                    && stage.ends.is_empty() =>
                {
                    Some(format!("`chain` does not say how `{name}` ends"))
                }
                () => None,
            }
        })
    }

    /// Returns what is wrong with the machines of the protocols.
    fn build_problem(&self) -> Option<String> {
        let built = |stage: &Stage| {
            self.model_of(stage)
                .map_err(|panic| format!("the protocol `{}` cannot be built: {panic}", stage.name))
        };
        let models: Result<Vec<(Stage, Model)>, String> =
            self.stages().into_iter().map(|stage| built(&stage).map(|model| (stage, model))).collect();
        let models = match models {
            Ok(models) => models,
            Err(problem) => return Some(problem),
        };
        let named = |name: &str| models.iter().find(|(stage, _)| stage.name == name).map(|(_, model)| model);
        let (broken, fixed) = (named("broken")?, named("fixed")?);
        objections::machines(broken, fixed).or_else(|| {
            let cpus = broken.device().cpus();
            let (stage, model) =
                models.iter().find(|(_, model)| [model.cpus(), model.device().cpus()] != [cpus; 2])?;
            Some(format!(
                "the protocol `broken` has {cpus} CPUs, `{}` runs {} on a machine of {}",
                stage.name,
                model.cpus(),
                model.device().cpus()
            ))
        })
    }

    /// Returns what is wrong with the scenario of the engine that the bug names, where `engine` are those there are.
    pub fn engine_problem(&self, engine: &[Case]) -> Option<String> {
        match engine.iter().find(|case| case.name == self.engine) {
            None => Some(format!(
                "`engine`: the engine has no scenario {:?}; `check engine --list` names them, as in \"borrow-vs-unmap\"",
                self.engine
            )),
            Some(case) if case.deep => {
                Some(format!("`engine`: the engine's scenario {:?} runs only with --deep", self.engine))
            }
            Some(_) => None,
        }
    }

    /// Returns the file that the bug is in, or `no file` if it shows none.
    pub fn file(&self) -> &'static str {
        self.code.first().map_or("no file", |(file, _)| file)
    }
}

/// Returns what is wrong with `bugs`: each header in itself, the scenario of `engine` that it names, and ids and names
/// that two bugs have.
pub fn problems(bugs: &[Bug], engine: &[Case]) -> Vec<Problem> {
    let (mut ids, mut names) = (BTreeMap::new(), BTreeMap::new());
    let mut problems = Vec::new();
    for bug in bugs {
        let mut found = bug.problems();
        found.extend(bug.engine_problem(engine));
        if let Some(other) = ids.insert(bug.id, bug.name) {
            found.push(format!("the id {} is that of {other}, too", bug.id));
        }
        if let Some(file) = names.insert(bug.name, bug.file()) {
            found.push(format!("the name is that of the bug in {file}, too"));
        }
        problems.extend(found.into_iter().map(|what| Problem { bug: bug.name, file: bug.file(), what }));
    }
    problems
}

/// Whether `text` is a number, with or without a letter that tells twins apart: `27`, `27b`.
fn is_number(text: &str) -> bool {
    let digits = text.strip_suffix(|last: char| last.is_ascii_lowercase()).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::problems;
    use crate::bugs::{Bug, Stage, all};
    use crate::protocols::page_type::{Flush, PageType};
    use shootdown_explore::Memory;

    use crate::engine::Fault;
    use crate::scenarios;

    fn sound() -> Bug {
        *all().next().expect("a bug")
    }

    /// The one thing that is wrong with `bug`.
    #[track_caller]
    fn wrong(bug: Bug) -> String {
        let [what] = <[String; 1]>::try_from(bug.problems()).expect("one problem");
        what
    }

    #[test]
    fn a_header_that_is_malformed_is_told_what_is_wrong() {
        assert_eq!(sound().problems(), Vec::<String>::new());
        assert!(wrong(Bug { source: " ", ..sound() }).contains("`source` is empty"));
        assert!(wrong(Bug { engine: "", ..sound() }).contains("`engine` is empty"));
        assert!(wrong(Bug { name: "linux-Trim", ..sound() }).contains("\"linux-Trim\""));
        for id in ["", "A", "Z1", "1", "A1x2", "é1"] {
            assert!(wrong(Bug { id, ..sound() }).contains("is not the letter of a class"), "{id}");
        }
        assert!(wrong(Bug { kernel: "Xen", ..sound() }).contains("begins with another kernel than \"Xen\""));
        assert!(wrong(Bug { rules: &[], ..sound() }).contains("no rule"));
        assert!(wrong(Bug { rules: &[9, 99], ..sound() }).contains("no rule SD-99"));
        assert!(wrong(Bug { story: "Too short.", ..sound() }).contains("a story of 2 words"));
        assert!(wrong(Bug { code: &[], ..sound() }).contains("source"));
    }

    #[test]
    fn what_is_said_of_a_field_names_it_and_shows_a_right_one() {
        let wrong_ones = [
            ("name", Bug { name: "linux", ..sound() }),
            ("id", Bug { id: "", ..sound() }),
            ("source", Bug { source: "", ..sound() }),
            ("title", Bug { title: "", ..sound() }),
            ("name", Bug { kernel: "Xen", ..sound() }),
            ("arch", Bug { arch: "", ..sound() }),
            ("about", Bug { about: "", ..sound() }),
            ("story", Bug { story: "", ..sound() }),
            ("ends", Bug { ends: "", ..sound() }),
            ("engine", Bug { engine: "", ..sound() }),
            ("rules", Bug { rules: &[], ..sound() }),
            ("rules", Bug { rules: &[99], ..sound() }),
            ("code", Bug { code: &[], ..sound() }),
        ];
        for (field, bug) in wrong_ones {
            let said = wrong(bug);
            assert!(said.contains(&format!("`{field}`")) && said.contains("as in "), "{field}: {said}");
        }
    }

    #[test]
    fn a_malformed_chain_is_told_what_is_wrong() {
        const OLD: Stage = Stage::wrong("old", "it ends", || PageType::model(Flush::BeforeExchange));
        const BROKEN: Stage = Stage::broken("1234 a change");
        const SHOUTED: Stage = Stage { name: "The Old", ..OLD };
        const ENDLESS: Stage = Stage { ends: "", ..OLD };
        const CHAINS: [(&[Stage], &str); 7] = [
            (&[OLD, Stage::FIXED], "lacks the protocol `broken`"),
            (&[Stage::broken("")], "lacks the protocol `fixed`"),
            (&[OLD, Stage::broken(""), Stage::FIXED], "which change made `broken`"),
            (&[BROKEN, Stage::FIXED], "leave \"1234 a change\" out"),
            (&[OLD, BROKEN, OLD.by("2"), Stage::FIXED], "two protocols called `old`"),
            (&[SHOUTED, BROKEN, Stage::FIXED], "\"The Old\""),
            (&[ENDLESS, BROKEN, Stage::FIXED], "how `old` ends"),
        ];
        let chained = Bug { chain: &[OLD, BROKEN, Stage::FIXED], ..sound() };
        assert_eq!(chained.problems(), Vec::<String>::new());
        for (chain, said) in CHAINS {
            assert!(wrong(Bug { chain, ..sound() }).contains(said), "{said}");
        }
        let tso = Bug { arch: "generic", fixed_under: Memory::Tso, ..sound() };
        assert!(wrong(tso).contains("`arch` is generic"));
    }

    #[test]
    fn twins_and_scenarios_that_do_not_exist_are_found_with_bug_and_file() {
        let engine = scenarios::cases(Fault::NONE);
        let other = Bug { name: "linux-other", id: "A99", engine: "no-such-scenario", ..sound() };
        let found = problems(&[sound(), sound(), other], &engine);
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("the id A1 is that of") && said[0].contains(sound().file()));
        assert!(said[1].contains("the name is that of"));
        assert!(said[2].starts_with("linux-other") && said[2].contains("no scenario \"no-such-scenario\""));
    }
}
