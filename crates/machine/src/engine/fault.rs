/// A rule or an ordering that is removed from the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(u64);

impl Fault {
    /// Nothing removed.
    pub const NONE: Fault = Fault(0);

    /// Removes rule SD-`n`.
    pub fn rule(n: u8) -> Option<Fault> {
        (1..=14).contains(&n).then_some(Fault(u64::from(n)))
    }

    /// Weakens the ordering at a named site of the engine.
    pub fn site(name: &str) -> Option<Fault> {
        let _ = name;
        None
    }

    /// Names of all sites.
    pub fn sites() -> &'static [&'static str] {
        &[]
    }

    /// For `Scenario::context`.
    pub fn context(self) -> u64 {
        self.0
    }
}
