use clap::Args;
use std::ffi::OsString;

/// Arguments of a command that is not in this build: whatever is given, the answer is which feature has it.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Absent {
    /// Taken as it is.
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub rest: Vec<OsString>,
}
