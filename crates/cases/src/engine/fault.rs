use super::barrier::Barrier;
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

    /// Weakens the ordering at a named site of the engine, or removes a barrier of the platform, if there is one of that name.
    pub fn site(name: &str) -> Option<Fault> {
        let sites = Site::ALL.iter().map(|&site| (site.name(), fault::site(site)));
        let barriers = Barrier::ALL.iter().map(|&barrier| (barrier.name(), barrier.fault()));
        sites.chain(barriers).find(|&(known, _)| known == name).map(|(_, number)| Fault(number))
    }

    /// Chooses mutant `n` of those woven into this build; 0 for none. No other build has any.
    #[cfg(shootdown_mutants)]
    pub fn mutant(n: u16) -> Fault {
        Fault(fault::mutated(n))
    }

    /// Names of all sites and barriers.
    pub fn sites() -> Vec<&'static str> {
        let barriers = Barrier::ALL.iter().map(|barrier| barrier.name());
        Site::ALL.iter().map(|site| site.name()).chain(barriers).collect()
    }

    /// For [`shootdown_explore::Scenario::context`].
    pub fn context(self) -> u64 {
        self.0
    }
}
