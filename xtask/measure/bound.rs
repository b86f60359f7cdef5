//! What a figure may be at most.

use anyhow::{Result, ensure};

/// A bound.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// The thing that is bounded, as the end of a sentence.
    pub what: &'static str,
    /// At most so many bytes.
    pub bytes: u64,
}

impl Bound {
    /// Holds the largest figure against the bound.
    ///
    /// # Errors
    /// It is past the bound.
    pub fn check(self, most: u64) -> Result<()> {
        let Self { what, bytes } = self;
        ensure!(most <= bytes, "{most} bytes {what}, at most {bytes} are wanted");
        println!("  {most} bytes {what}, of {bytes} at most");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;

    #[test]
    fn what_is_past_the_bound_is_an_error() {
        let bound = Bound { what: "of stack", bytes: 512 };
        assert!(bound.check(512).is_ok());
        let error = bound.check(513).expect_err("a byte too many").to_string();
        assert_eq!(error, "513 bytes of stack, at most 512 are wanted");
    }
}
