use shootdown::fault::{self, Site};

/// A rule or an ordering that is removed from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(u64);

impl Fault {
    /// Number of the last rule.
    pub const LAST_RULE: u8 = shootdown::rules::LAST;

    /// Nothing removed.
    pub const NONE: Fault = Fault(0);

    /// Removes rule SD-`n`, if there is such a rule.
    pub fn rule(n: u8) -> Option<Fault> {
        fault::rule(n).map(Fault)
    }

    /// Weakens the ordering at a named site of the engine, if there is one of that name.
    pub fn site(name: &str) -> Option<Fault> {
        Site::ALL.iter().find(|site| site.name() == name).map(|&site| Fault(fault::site(site)))
    }

    /// Chooses mutant `n` of those woven into this build; 0 for none. No other build has any.
    #[cfg(shootdown_mutants)]
    pub fn mutant(n: u16) -> Fault {
        Fault(fault::mutated(n))
    }

    /// Names of all sites.
    pub fn sites() -> Vec<&'static str> {
        Site::ALL.iter().map(|site| site.name()).collect()
    }

    /// For [`shootdown_explore::Scenario::context`].
    pub fn context(self) -> u64 {
        self.0
    }
}
