//! All cases there are, and the rule or ordering that a run takes out of the engine.

use shootdown_cases::bugs::Bug;
use shootdown_cases::engine::Fault;
use shootdown_cases::scenarios;
use shootdown_machine::Case;

use crate::failure::{BadInput, Failure};
use crate::select::near;

/// Number of the last rule.
#[doc(inline)]
pub use shootdown::trace::rules::LAST as LAST_RULE;

/// A rule (`SD-3`) or a named ordering that is removed from the engine.
#[derive(Clone, Debug)]
pub struct Removed {
    /// `SD-3`, or the ordering's name.
    pub name: String,
    fault: Fault,
}

impl PartialEq for Removed {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Removed {
    /// Reads a rule's number: `SD-3`, `sd-3` or `3`.
    ///
    /// # Errors
    /// Which rules there are.
    pub fn rule(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_prefix("sd-").or(lower.strip_prefix("sd")).unwrap_or(&lower);
        let number: Option<u8> = digits.parse().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
        match number.and_then(|n| Some((n, Fault::rule(n)?))) {
            Some((n, fault)) => Ok(Self { name: format!("SD-{n}"), fault }),
            None => Err(format!("rules are SD-1 to SD-{LAST_RULE}; INVARIANTS.md says what each demands")),
        }
    }

    /// Reads an ordering's name.
    ///
    /// # Errors
    /// Near names, or all there are.
    pub fn site(text: &str) -> Result<Self, String> {
        if let Some(fault) = Fault::site(text) {
            return Ok(Self { name: text.to_owned(), fault });
        }
        let sites = Fault::sites();
        let close = near(text, sites.iter().copied());
        Err(match (sites.is_empty(), close.is_empty()) {
            (true, _) => "this build names no orderings".to_owned(),
            (false, true) => format!("orderings are: {}", sites.join(", ")),
            (false, false) => {
                format!("did you mean: {}? Orderings are: {}", close.join(", "), sites.join(", "))
            }
        })
    }

    /// Reads either.
    ///
    /// # Errors
    /// What there is to remove.
    pub fn rule_or_site(text: &str) -> Result<Self, Failure> {
        Self::rule(text).or_else(|_| Self::site(text)).map_err(|sites| {
            Failure::BadInput(BadInput {
                what: format!("{text:?} is neither a rule nor a named ordering of the engine"),
                near: Vec::new(),
                remedy: format!("rules are SD-1 to SD-{LAST_RULE}; {sites}"),
            })
        })
    }
}

/// Returns every case: the engine's and those of `bugs`; with something removed, the engine's only, since no bug
/// contains the engine.
pub fn cases(bugs: &[Bug], removed: Option<&Removed>) -> Vec<Case> {
    match removed {
        Some(removed) => scenarios::cases(removed.fault),
        None => scenarios::cases(Fault::NONE).into_iter().chain(bugs.iter().flat_map(Bug::cases)).collect(),
    }
}

/// Puts another protocol of the bug into the case called `name`, which must then surprise `check`.
///
/// # Errors
/// No bug has such a case.
pub fn swap(cases: &mut [Case], bugs: &[Bug], name: &str) -> Result<(), Failure> {
    let swapped = bugs
        .iter()
        .flat_map(|bug| bug.stages().into_iter().map(|stage| bug.swapped(stage)))
        .find(|case| case.name == name);
    let place = cases.iter_mut().find(|case| case.name == name);
    let (Some(swapped), Some(place)) = (swapped, place) else {
        return Err(Failure::bad_input(
            format!("no bug has a case called {name:?}"),
            "`shootdown check bugs --list` names them all",
        ));
    };
    *place = swapped;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{LAST_RULE, Removed};

    #[test]
    fn a_rule_is_read_with_or_without_its_prefix() {
        for text in ["SD-3", "sd-3", "SD3", "3"] {
            assert_eq!(Removed::rule(text).expect("a rule").name, "SD-3", "{text}");
        }
    }

    #[test]
    fn a_rule_that_does_not_exist_is_refused_with_the_range() {
        let next = format!("SD-{}", LAST_RULE + 1);
        for text in ["SD-0", &next, "SD-", "+3", "sd-3x", ""] {
            let refusal = Removed::rule(text).expect_err(text);
            assert!(refusal.contains(&format!("SD-1 to SD-{LAST_RULE};")), "{refusal}");
        }
    }
}
