//! Ways into what reads input, for the fuzz targets.

use clap::Parser;
use std::sync::OnceLock;

use crate::args::{Cli, Command};
use crate::catalogue;
use crate::commands;
use crate::replay_file;
use crate::select::{Wanted, select};
use crate::shard::digest;

/// Reads a list of moves.
pub fn replay_list(text: &str) {
    match replay_file::parse(text) {
        Ok(file) => assert_eq!(file.moves.len(), file.lines.len()),
        Err(malformed) => assert!(malformed.line <= text.lines().count() + 1),
    }
}

/// Stands in the input of [`merge`] for the digest of this build's cases.
pub const DIGEST: &str = "0123456789abcdef";

/// Merges results of shards; nothing is printed.
pub fn merge(text: &str) {
    static CASES: OnceLock<String> = OnceLock::new();
    let text = text.replace(DIGEST, CASES.get_or_init(|| digest(&catalogue::cases(&[], None))));
    let lines = text.lines().count();
    let merged = commands::merge_texts(&[("input".to_owned(), text)], &[], |outcome, whole, _| {
        assert_eq!(outcome.records.len() + outcome.not_run.len(), whole.len());
        Ok(outcome.records.len())
    });
    assert!(merged.is_err() || merged.is_ok_and(|records| records <= lines));
}

/// Understands a command line, and finds the cases that it names.
pub fn command_line<'a>(words: impl Iterator<Item = &'a str>) {
    let Ok(Cli { command: Some(Command::Check(args)) }) =
        Cli::try_parse_from(std::iter::once("shootdown").chain(words))
    else {
        return;
    };
    let cases = catalogue::cases(&[], None);
    let wanted = Wanted { names: &args.names, cpus: args.cpus, deep: args.deep, no_engine: args.no_engine };
    if let Ok(picked) = select(&cases, wanted) {
        assert!(picked.len() <= cases.len());
    }
}
