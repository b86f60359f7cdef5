//! Commands and options that are not in this build: each is refused with the build that has it.

use crate::failure::Failure;

/// Refuses `what`, as it was typed after the command's name.
pub fn refuse(what: &str) -> Failure {
    Failure::bad_input(
        format!("`{what}` is not in this build; build with `cargo run --release --features full -- {what}`"),
        "to install it: `cargo install --path crates/cli --features full` in a checkout",
    )
}

/// What `explain` draws into files.
pub mod museum {
    use shootdown_cases::bugs::Bug;
    use shootdown_explore::Report;
    use shootdown_machine::Case;
    use std::process::ExitCode;

    use super::refuse;
    use crate::args::ExplainArgs;
    use crate::commands::guide::Guide;
    use crate::failure::Failure;

    /// Refuses what `args` wants to be written, if it wants anything.
    ///
    /// # Errors
    /// It does.
    pub fn can_write(args: &ExplainArgs) -> Result<(), Failure> {
        match (&args.html, &args.svg) {
            (Some(_), _) => Err(refuse("explain --html")),
            (None, Some(_)) => Err(refuse("explain --svg")),
            (None, None) => Ok(()),
        }
    }

    /// Refuses `explain --all`.
    ///
    /// # Errors
    /// Always.
    pub fn all(_: &ExplainArgs, _: &[Bug]) -> Result<ExitCode, Failure> {
        Err(refuse("explain --html"))
    }

    /// Writes nothing, and nothing is asked for.
    ///
    /// # Errors
    /// None.
    pub fn write(
        _: &ExplainArgs,
        _: &Guide<'_>,
        _: (&[Bug], &[Case]),
        _: (&Case, &Report),
    ) -> Result<bool, Failure> {
        Ok(true)
    }
}
