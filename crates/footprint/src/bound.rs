//! What a figure may be at most.

use anyhow::{Result, bail, ensure};

/// A bound, and what is known to pass it.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What is bounded, as the end of a sentence.
    pub what: &'static str,
    /// At most so many bytes.
    pub bytes: u64,
    /// So many until that is mended, and why. It has to go when the bound holds.
    pub excepted: Option<(u64, &'static str)>,
}

impl Bound {
    /// Holds the largest figure against the bound.
    ///
    /// # Errors
    /// It is past the bound and past the exception, or the exception has outlived its cause.
    pub fn judge(self, most: u64) -> Result<()> {
        let Self { what, bytes, excepted } = self;
        match excepted {
            Some((up_to, why)) if most > bytes && most <= up_to => {
                println!("  PAST THE BOUND: {most} of {bytes} bytes {what}; excepted up to {up_to}: {why}");
            }
            Some((up_to, _)) if most <= bytes => {
                bail!("{most} bytes {what} are within {bytes}: the exception for {up_to} has to go");
            }
            _ => ensure!(most <= bytes, "{most} bytes {what}, at most {bytes} are wanted"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;

    #[test]
    fn a_bound_holds_unless_excepted_and_exceptions_do_not_outlive_their_cause() {
        let bound = |excepted| Bound { what: "of stack", bytes: 512, excepted };
        let judge = |excepted, most| bound(excepted).judge(most).is_ok();
        assert!(judge(None, 512));
        assert!(!judge(None, 513));
        assert!(judge(Some((600, "why")), 513));
        assert!(!judge(Some((600, "why")), 601));
        assert!(!judge(Some((600, "why")), 512));
    }
}
