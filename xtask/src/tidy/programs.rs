//! Packages that list their test programs by hand (`autotests = false`): a file that no list names is a test that is
//! never run.

use std::collections::HashSet;

use super::read::{Finding, Source};

/// Finds files of `tests/` that are neither a program of their package nor a module of one.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let listed = |source: &&Source| {
        source.path.ends_with("Cargo.toml") && source.text.lines().any(|line| line == "autotests = false")
    };
    sources.iter().filter(listed).flat_map(|manifest| unnamed(manifest, sources)).collect()
}

fn unnamed(manifest: &Source, sources: &[Source]) -> Vec<Finding> {
    let tests = manifest.path.replace("Cargo.toml", "tests/");
    let files = || sources.iter().filter_map(|source| Some((source.path.strip_prefix(&tests)?, source)));
    let is_program = |file: &str| manifest.text.contains(&format!("path = \"tests/{file}\""));
    let modules: HashSet<String> = files()
        .filter(|(file, _)| is_program(file))
        .flat_map(|(_, program)| program.text.lines())
        .filter_map(|line| Some(format!("{}.rs", line.strip_prefix("mod ")?.strip_suffix(';')?)))
        .collect();
    files()
        .filter(|(file, source)| source.is_rust() && !file.contains('/'))
        .filter(|(file, _)| !is_program(file) && !modules.contains(*file))
        .map(|(_, source)| source.finding(1, format!("no test program of {} has this file", manifest.path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::read;
    use crate::tidy::read::source;

    #[test]
    fn a_file_that_no_test_program_has_is_found() {
        let found = |modules: &str, autotests: &str| {
            let manifest = format!("{autotests}\n[[test]]\npath = \"tests/all.rs\"\n");
            let files = [
                source("a/Cargo.toml", &manifest),
                source("a/tests/all.rs", modules),
                source("a/tests/one.rs", ""),
                source("a/tests/common/mod.rs", ""),
                source("b/tests/other.rs", ""),
            ];
            read(&files).into_iter().map(|finding| finding.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(found("mod common;\nmod one;\n", "autotests = false"), [""; 0]);
        assert_eq!(found("mod common;\n", ""), [""; 0], "cargo finds it");
        let [finding] = &*found("mod common;\n", "autotests = false") else {
            panic!("one file is not named")
        };
        assert!(finding.contains("a/tests/one.rs"), "{finding}");
    }
}
