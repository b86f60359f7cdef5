use clap::Args;
use std::path::PathBuf;

/// Arguments of `shootdown doctor`.
#[derive(Args, Debug)]
pub struct DoctorArgs {
    /// A Rust source file, or the folder of a crate, that names its platform `PlatformUnderTest`
    pub path: PathBuf,
    /// Show the machine's state after each step of what is found
    #[arg(long)]
    pub state: bool,
    /// Print one JSON object a line
    #[arg(long, conflicts_with = "state")]
    pub json: bool,
}
