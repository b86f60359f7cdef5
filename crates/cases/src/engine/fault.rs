use super::barrier::Barrier;
use shootdown::fault::{self, Site};

/// A rule or an ordering that is removed from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(u64);

impl Fault {
    /// Number of the last rule.
    pub const LAST_RULE: u8 = shootdown::trace::rules::LAST;

    /// Nothing removed.
    pub const NONE: Fault = Fault(0);

    /// Removes rule SD-`n`, if there is such a rule.
    pub fn rule(n: u8) -> Option<Fault> {
        fault::rule(n).map(Fault)
    }

    /// Weakens the ordering at a named site of the engine, or removes a barrier of the platform, if there is one of
    /// that name; `SITE+BARRIER` is one of each.
    pub fn site(name: &str) -> Option<Fault> {
        let ordering =
            |name: &str| Site::ALL.iter().find(|site| site.name() == name).map(|&site| fault::site(site));
        let barrier = |name: &str| {
            Barrier::ALL.iter().find(|barrier| barrier.name() == name).map(|barrier| barrier.fault())
        };
        match name.split_once('+') {
            Some((site, other)) => Some(Fault(ordering(site)? | barrier(other)?)),
            None => ordering(name).or_else(|| barrier(name)).map(Fault),
        }
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

#[cfg(test)]
mod tests {
    use super::Fault;

    #[test]
    fn an_ordering_and_a_barrier_go_together_and_two_of_a_kind_do_not() {
        let context = |name: &str| Fault::site(name).map(Fault::context);
        let both = context("ack").zip(context("ipi-barrier")).map(|(ack, barrier)| ack | barrier);
        assert!(both.is_some());
        assert_eq!(context("ack+ipi-barrier"), both);
        for wrong in ["ack+bump", "ipi-barrier+ack", "publish-tables+ipi-barrier", "ack+", "+", "ack+x"] {
            assert_eq!(Fault::site(wrong), None, "{wrong}");
        }
    }
}
