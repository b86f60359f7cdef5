//! Picks cases by name, group and pattern, and suggests names for those that do not exist.

use glob::Pattern;
use shootdown_machine::{Case, Kind};

use crate::failure::{BadInput, Failure};
use crate::names;

/// What a user asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted<'a> {
    /// Names, groups and patterns; empty: everything.
    pub names: &'a [String],
    /// Only machines with this many CPUs.
    pub cpus: Option<usize>,
    /// Whether groups, patterns and "everything" include deep cases. A deep case's own name always does.
    pub deep: bool,
    /// Whether the engine's scenarios are left out, also where a bug names them.
    pub no_engine: bool,
}

/// Another name of the group of all bugs.
const CORPUS: &str = "corpus";

/// The protocol that a bug's name alone means, where one is needed.
pub const BROKEN: &str = "broken";

/// Returns the wanted cases, each once, in the catalogue's order.
///
/// # Errors
/// The first name that nothing answers to, or a filter that leaves nothing.
pub fn select<'c>(cases: &'c [Case], wanted: Wanted<'_>) -> Result<Vec<&'c Case>, Failure> {
    let mut picked = vec![false; cases.len()];
    if wanted.names.is_empty() {
        mark(&mut picked, cases, |case| wanted.deep || !case.deep);
    }
    for name in wanted.names {
        pick(&mut picked, cases, name, wanted.deep)?;
    }
    let left = |case: &Case| !(wanted.no_engine && case.kind == Kind::Engine);
    let named = cases.iter().zip(&picked).filter(|(case, picked)| **picked && left(case));
    let named: Vec<&Case> = named.map(|(case, _)| case).collect();
    match wanted.cpus {
        None => Ok(named),
        Some(cpus) => with_cpus(named, cpus),
    }
}

/// Returns the deep cases that `wanted` would mean too if it asked for deep ones.
pub fn left_out<'c>(cases: &'c [Case], wanted: Wanted<'_>) -> Vec<&'c Case> {
    let picked = select(cases, wanted).unwrap_or_default();
    let all = select(cases, Wanted { deep: true, ..wanted }).unwrap_or_default();
    all.into_iter().filter(|case| !picked.iter().any(|picked| picked.name == case.name)).collect()
}

/// Returns the one case called `name`; of a bug's protocols, the broken one.
///
/// # Errors
/// No case is called that.
pub fn find<'c>(cases: &'c [Case], name: &str) -> Result<&'c Case, Failure> {
    let called = |name: &str| cases.iter().find(|case| case.name == name);
    called(name).or_else(|| called(&format!("{name}/{BROKEN}"))).ok_or_else(|| {
        Failure::BadInput(BadInput {
            what: format!("no case is called {name:?}"),
            near: near(name, cases.iter().map(|case| case.name.as_str())),
            remedy: protocols_of(cases, name).unwrap_or_else(|| {
                "`shootdown check --list` names them all; one case is needed here, not a group".into()
            }),
        })
    })
}

/// Names the protocols of a bug, where `name` is a bug's and a protocol's that it lacks.
fn protocols_of(cases: &[Case], name: &str) -> Option<String> {
    let (bug, _) = name.split_once('/')?;
    let of_bug = cases.iter().filter(|case| family(case) == Some(bug));
    let protocols: Vec<&str> =
        of_bug.filter_map(|case| case.name.split_once('/')).map(|(_, one)| one).collect();
    (!protocols.is_empty()).then(|| format!("{bug} has these: {}", protocols.join(", ")))
}

/// Returns at most three of `known` that resemble `name`, best first.
pub fn near<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Vec<String> {
    /// Below this, two names have little in common.
    const ALIKE: f64 = 0.55;
    /// The same for one word of a name, of which there are many.
    const ALIKE_WORD: f64 = 0.75;
    let lower = name.to_lowercase();
    let length = lower.chars().count();
    // Of two texts of which one is twice as long as the other, half and more differs; and a long one takes long to compare.
    let like = |part: &str| match length > 2 * part.chars().count() {
        true => 0.0,
        false => strsim::normalized_damerau_levenshtein(&lower, part),
    };
    let mut scored: Vec<(f64, f64, &str)> = known
        .map(|candidate| {
            let known = candidate.to_lowercase();
            let whole = like(&known);
            // A part of a name is what people remember, however long the whole is; and they may mistype that, too.
            let part = lower.len() >= 3 && known.contains(&lower);
            let words = known.split(['-', '_', '/']).filter(|_| lower.len() >= 3);
            let word = words.map(&like).filter(|score| *score >= ALIKE_WORD).fold(0.0, f64::max);
            (if part { whole.max(0.9) } else { whole.max(0.9 * word) }, whole, candidate)
        })
        .filter(|(score, ..)| *score >= ALIKE)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)));
    scored.dedup_by_key(|(.., candidate)| *candidate);
    scored.into_iter().take(3).map(|(.., candidate)| candidate.to_owned()).collect()
}

fn pick(picked: &mut [bool], cases: &[Case], name: &str, deep: bool) -> Result<(), Failure> {
    if mark(picked, cases, |case| case.name == name) {
        return Ok(());
    }
    let pattern = if name.contains(['*', '?', '[', '{', '}']) { Some(Glob::of(name)?) } else { None };
    let answers = |case: &Case| match &pattern {
        Some(pattern) => pattern.is_match(&case.name),
        None => in_group(case, name) || family(case) == Some(name),
    };
    if mark(picked, cases, |case| answers(case) && (deep || !case.deep)) {
        return Ok(());
    }
    if cases.iter().any(answers) {
        return Err(Failure::bad_input(
            format!("{name:?} names deep cases only"),
            "add --deep to run them, or give a case by its own name",
        ));
    }
    let known = cases.iter().map(|case| case.name.as_str()).chain(groups(cases));
    Err(Failure::BadInput(BadInput {
        what: match pattern {
            Some(_) => format!("no case matches {name:?}"),
            None => format!("no case or group is called {name:?}"),
        },
        near: near(name.trim_matches('*'), known),
        remedy: protocols_of(cases, name).unwrap_or_else(|| {
            format!("`shootdown check --list` names all cases; groups: {}", groups(cases).join(", "))
        }),
    }))
}

/// What a user typed with `*`, `?`, `[abc]` or `{this,that}`: patterns, of which one must match.
struct Glob(Vec<Pattern>);

impl Glob {
    /// Most patterns that braces may stand for.
    const MOST: usize = 256;

    fn of(text: &str) -> Result<Self, Failure> {
        let refuse = |what: &str| {
            Failure::bad_input(
                format!("{text:?} is not a pattern: {what}"),
                "patterns use *, ?, [abc] and {this,that}, as in 'linux-*'",
            )
        };
        let mut open = vec![text.to_owned()];
        let mut patterns = Vec::new();
        while let Some(next) = open.pop() {
            if open.len() + patterns.len() >= Self::MOST {
                return Err(refuse(&format!("its braces stand for more than {} names", Self::MOST)));
            }
            match braces(&next).map_err(refuse)? {
                Some(Braces { before, choices, after }) => {
                    open.extend(choices.iter().map(|choice| format!("{before}{choice}{after}")));
                }
                None => patterns.push(Pattern::new(&next).map_err(|error| refuse(error.msg))?),
            }
        }
        Ok(Self(patterns))
    }

    fn is_match(&self, name: &str) -> bool {
        self.0.iter().any(|pattern| pattern.matches(name))
    }
}

/// The first pair of braces in a text.
struct Braces<'t> {
    before: &'t str,
    choices: Vec<&'t str>,
    after: &'t str,
}

/// Returns the first pair of braces in `text`, if there is one.
fn braces(text: &str) -> Result<Option<Braces<'_>>, &'static str> {
    let Some(start) = text.find(['{', '}']) else { return Ok(None) };
    let (mut depth, mut from, mut choices) = (0_usize, start + 1, Vec::new());
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Err("a closing brace without an opening one"),
            b'}' => depth -= 1,
            b',' if depth == 1 => {}
            _ => continue,
        }
        let ends = (byte == b',' && depth == 1) || depth == 0;
        if ends {
            choices.push(&text[from..at]);
            from = at + 1;
        }
        if depth == 0 {
            return Ok(Some(Braces { before: &text[..start], choices, after: &text[from..] }));
        }
    }
    Err("an opening brace without a closing one")
}

/// Marks the cases that `wanted` is true of; returns whether there was one.
fn mark(picked: &mut [bool], cases: &[Case], wanted: impl Fn(&Case) -> bool) -> bool {
    let mut any = false;
    for (mark, _) in picked.iter_mut().zip(cases).filter(|(_, case)| wanted(case)) {
        *mark = true;
        any = true;
    }
    any
}

/// Returns what a case's name begins with, where it has variants: `linux-x` of `linux-x/broken`.
pub fn family(case: &Case) -> Option<&str> {
    case.name.split_once('/').map(|(family, _)| family)
}

fn in_group(case: &Case, group: &str) -> bool {
    let group = if group == CORPUS { names::group(Kind::Bug) } else { group };
    names::group(case.kind) == group || case.groups.contains(&group)
}

/// Returns the groups that `cases` are in, sorted.
pub fn groups(cases: &[Case]) -> Vec<&'static str> {
    let mut all: Vec<&'static str> =
        cases.iter().flat_map(|case| case.groups.iter().copied().chain([names::group(case.kind)])).collect();
    all.extend(cases.iter().any(|case| in_group(case, CORPUS)).then_some(CORPUS));
    all.sort_unstable();
    all.dedup();
    all
}

fn with_cpus(cases: Vec<&Case>, cpus: usize) -> Result<Vec<&Case>, Failure> {
    let mut have: Vec<usize> = cases.iter().map(|case| case.cpus).collect();
    have.sort_unstable();
    have.dedup();
    let left: Vec<&Case> = cases.into_iter().filter(|case| case.cpus == cpus).collect();
    if !left.is_empty() {
        return Ok(left);
    }
    let have: Vec<String> = have.iter().map(ToString::to_string).collect();
    Err(Failure::bad_input(
        format!("none of the chosen cases has {cpus} CPUs"),
        match have.is_empty() {
            true => "no case is chosen at all".to_owned(),
            false => format!("they have {} CPUs; choose one of these, or leave --cpus out", have.join(", ")),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::{Glob, Wanted, find, left_out, near, select};
    use crate::failure::Failure;
    use crate::testing::{bug_case, engine_case, fixed_case};
    use shootdown_machine::Case;

    fn catalogue() -> Vec<Case> {
        let mut deep = engine_case("four-everything", 4);
        deep.deep = true;
        deep.groups = &["four"];
        vec![
            engine_case("pairs-flush-switch", 2),
            engine_case("three-seed", 3),
            deep,
            fixed_case("linux-bafb056c-sparc64-trim/fixed"),
            bug_case("linux-bafb056c-sparc64-trim/broken"),
            bug_case("linux-a665eec0-powerpc-trim/broken"),
        ]
    }

    fn names(wanted: &[&str], cpus: Option<usize>, deep: bool) -> Result<Vec<String>, Failure> {
        let names: Vec<String> = wanted.iter().map(|&n| n.to_owned()).collect();
        let cases = catalogue();
        let picked = select(&cases, Wanted { names: &names, cpus, deep, ..Wanted::default() })?;
        Ok(picked.into_iter().map(|case| case.name.clone()).collect())
    }

    fn refusal(result: Result<Vec<String>, Failure>) -> String {
        result.expect_err("must be refused").to_string()
    }

    #[test]
    fn everything_leaves_deep_cases_out_unless_asked() {
        assert_eq!(names(&[], None, false).expect("cases").len(), 5);
        assert_eq!(names(&[], None, true).expect("cases").len(), 6);
    }

    #[test]
    fn the_engine_is_left_out_where_bugs_alone_are_wanted() {
        let cases = catalogue();
        let wanted = Wanted { no_engine: true, ..Wanted::default() };
        let picked = select(&cases, wanted).expect("cases");
        assert!(picked.len() == 3 && picked.iter().all(|case| case.name.starts_with("linux-")));
    }

    #[test]
    fn deep_cases_that_were_meant_are_known_to_be_left_out() {
        let cases = catalogue();
        let left = |names: &[&str], deep| {
            let names: Vec<String> = names.iter().map(|&n| n.to_owned()).collect();
            let left = left_out(&cases, Wanted { names: &names, deep, ..Wanted::default() });
            left.into_iter().map(|case| case.name.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (left(&[], false), left(&["engine"], false)),
            (vec!["four-everything".into()], left(&[], false))
        );
        assert!(left(&[], true).is_empty() && left(&["three-seed"], false).is_empty());
    }

    #[test]
    fn the_corpus_is_the_group_of_all_bugs() {
        let all = |group| names(&[group], None, false).expect("cases");
        assert_eq!(all("corpus"), all("bugs"));
    }

    #[test]
    fn groups_patterns_and_names_select_in_the_catalogues_order_and_once() {
        let picked =
            names(&["*powerpc*", "linux-bafb056c-*", "bugs", "three-seed"], None, false).expect("cases");
        let [first, second] =
            ["fixed", "broken"].map(|variant| format!("linux-bafb056c-sparc64-trim/{variant}"));
        assert_eq!(picked, ["three-seed", &first, &second, "linux-a665eec0-powerpc-trim/broken"]);
    }

    #[test]
    fn a_deep_case_runs_by_its_own_name_but_not_by_its_group() {
        assert_eq!(names(&["four-everything"], None, false).expect("cases"), ["four-everything"]);
        assert!(refusal(names(&["four"], None, false)).contains("--deep"));
        assert_eq!(names(&["four"], None, true).expect("cases"), ["four-everything"]);
    }

    #[test]
    fn an_unknown_name_is_refused_with_near_ones_and_the_remedy() {
        let said = refusal(names(&["thre-seed"], None, false));
        assert!(said.contains("\"thre-seed\"") && said.contains("did you mean: three-seed"), "{said}");
        assert!(said.contains("check --list") && said.contains("bugs, corpus, engine, four"), "{said}");
    }

    #[test]
    fn a_pattern_that_matches_nothing_or_cannot_be_read_is_refused() {
        assert!(refusal(names(&["freebsd-*"], None, false)).contains("no case matches"));
        for pattern in ["linux-[", "linux-{a", "linux-a}", "{,{}", "linux-***"] {
            assert!(refusal(names(&[pattern], None, false)).contains("not a pattern"), "{pattern}");
        }
    }

    #[test]
    fn braces_stand_for_each_of_their_choices_and_for_no_more_than_can_be_looked_at() {
        let glob = |text: &str, name: &str| Glob::of(text).expect("a pattern").is_match(name);
        for (text, matches, others) in [
            ("{three,two}-*", "three-seed", "four-seed"),
            ("linux-{a{1,2},b}*/fixed", "linux-a2-x/fixed", "linux-a3-x/fixed"),
            ("x{,-y}", "x", "x-z"),
            ("[!l]*-s?ed", "three-seed", "linux-seed"),
        ] {
            assert!(glob(text, matches) && !glob(text, others), "{text}");
        }
        let many = "{a,b}".repeat(60);
        let said = Glob::of(&many).err().expect("too many").to_string();
        assert!(said.contains("more than 256"), "{said}");
    }

    #[test]
    fn a_cpu_count_that_no_case_has_is_refused_with_those_there_are() {
        assert_eq!(names(&[], Some(3), false).expect("cases"), ["three-seed"]);
        assert!(refusal(names(&[], Some(7), false)).contains("they have 2, 3 CPUs"));
    }

    #[test]
    fn near_prefers_parts_and_close_spellings_and_stays_silent_otherwise() {
        let known = ["linux-bafb056c-sparc64-trim", "pairs-flush-switch", "three-seed"];
        assert_eq!(near("sparc64", known.into_iter()), ["linux-bafb056c-sparc64-trim"]);
        assert_eq!(near("Pairs-flush-swich", known.into_iter()), ["pairs-flush-switch"]);
        assert!(near("zzz", known.into_iter()).is_empty());
        // Compared letter by letter, 10 MB would take an hour.
        assert!(near(&"a".repeat(10 << 20), known.into_iter()).is_empty());
        let policies = ["redox", "linux-sparc64", "linux-x86", "linux-arm64", "shootdown"];
        assert_eq!(near("linx", policies.into_iter()), ["linux-x86", "linux-arm64", "linux-sparc64"]);
    }

    #[test]
    fn a_bugs_name_selects_its_variants_and_finds_the_broken_one() {
        let bug = "linux-bafb056c-sparc64-trim";
        let variants = [format!("{bug}/fixed"), format!("{bug}/broken")];
        assert_eq!(names(&[bug], None, false).expect("cases"), variants);
        let cases = catalogue();
        assert_eq!(find(&cases, bug).map(|case| case.name.as_str()).expect("there"), variants[1]);
        assert_eq!(find(&cases, &variants[0]).map(|case| case.name.as_str()).expect("there"), variants[0]);
    }

    #[test]
    fn a_protocol_that_a_bug_lacks_is_refused_with_those_that_it_has() {
        let name = "linux-bafb056c-sparc64-trim/mended";
        let said = refusal(names(&[name], None, false));
        assert!(said.contains("linux-bafb056c-sparc64-trim has these: fixed, broken"), "{said}");
        let Err(failure) = find(&catalogue(), name) else { panic!("there is no such protocol") };
        assert!(failure.to_string().contains("has these: fixed, broken"));
    }

    #[test]
    fn find_wants_exactly_one_case() {
        let cases = catalogue();
        assert_eq!(find(&cases, "three-seed").map(|case| case.cpus).expect("there"), 3);
        let Err(failure) = find(&cases, "bugs") else { panic!("a group is no case") };
        assert!(failure.to_string().contains("not a group"));
    }
}
