use clap::Args;
use std::path::PathBuf;

/// Arguments of `shootdown completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// Arguments of `shootdown man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write pages into this folder, one for each command, instead of printing one for all
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}
