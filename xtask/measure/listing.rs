//! The instruction sequences of the arch crates, disassembled, against listings that were committed.

use crate::built::Built;
use crate::disassembler::Disassembler;
use crate::program::Program;
use anyhow::{Context, Result, bail, ensure};
use object::Architecture;
use similar::TextDiff;
use std::path::Path;

/// What to do where a difference is wanted.
const REMEDY: &str = "`cargo xtask arch --accept` takes the listing as it is now";
/// A function of an arch crate that is not a sequence: CPUID is the compiler's own function.
const NO_SEQUENCE: &str = "read_leaves";

/// Compares the sequences of each library with the listing in the folder `listings`, or writes that listing. `arch`
/// holds the arch crates.
///
/// # Errors
/// A listing differs, or a function of an arch crate's `exec` is not in the library.
pub fn report(built: &[Built], arch: &Path, listings: &Path, accept: bool) -> Result<()> {
    let mut failures = Vec::new();
    for one in built {
        let name = name(one.program.architecture)?;
        let exec = arch.join(name).join("src/exec.rs");
        let source =
            std::fs::read_to_string(&exec).with_context(|| format!("cannot read {}", exec.display()))?;
        let new = listing(&one.program, &source).with_context(|| one.name.clone())?;
        let file = listings.join(format!("{name}.txt"));
        if accept {
            std::fs::write(&file, new).with_context(|| format!("cannot write {}", file.display()))?;
            continue;
        }
        let committed =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if let Some(difference) = difference(name, &committed, &new) {
            println!("{difference}");
            failures.push(name);
        }
    }
    ensure!(failures.is_empty(), "other instructions than committed: {}; {REMEDY}", failures.join(", "));
    Ok(())
}

/// Writes the instructions of each sequence in a program, one a line.
///
/// # Errors
/// A function in the source of an arch crate's `exec` has no sequence.
fn listing(program: &Program, source: &str) -> Result<String> {
    let found = program.group("sequence");
    let wanted = sequences(source);
    let missing: Vec<&str> =
        wanted.iter().copied().filter(|name| !found.contains_key(name) && *name != NO_SEQUENCE).collect();
    ensure!(!wanted.is_empty() && missing.is_empty(), "no sequence for {missing:?}");
    let disassembler = Disassembler::new(program.architecture)?;
    let mut text = String::new();
    for (name, node) in found {
        text += &format!("{name}:\n");
        for instruction in disassembler.instructions(&program.nodes[node].bytes)? {
            text += &format!("    {instruction}\n");
        }
    }
    Ok(text)
}

fn difference(name: &str, committed: &str, new: &str) -> Option<String> {
    let headers = (format!("{name}, committed"), format!("{name}, as built"));
    let difference = TextDiff::from_lines(committed, new);
    (committed != new).then(|| difference.unified_diff().header(&headers.0, &headers.1).to_string())
}

/// An architecture's arch crate and listing.
fn name(architecture: Architecture) -> Result<&'static str> {
    Ok(match architecture {
        Architecture::X86_64 => "x86_64",
        Architecture::Aarch64 => "aarch64",
        Architecture::Riscv64 => "riscv64",
        Architecture::Sparc64 => "sparc64",
        Architecture::LoongArch64 => "loongarch64",
        other => bail!("no listing for {other:?}"),
    })
}

/// Names of the functions in the source of an `exec` module, those that its macros make included.
pub fn sequences(source: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for line in source.lines() {
        let head = line.strip_prefix("pub unsafe fn ").or_else(|| line.strip_prefix("pub fn "));
        if let Some(head) = head {
            names.extend(head.split('(').next());
        } else if let Some((list, _)) = line.strip_prefix("    ").and_then(|entry| entry.split_once(", \"")) {
            let is_name = |word: &&str| {
                !word.is_empty()
                    && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            };
            // With operands or without.
            let words: Vec<&str> = list.split('(').next().unwrap_or_default().split(", ").collect();
            if words.iter().all(is_name) {
                names.extend(words);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{difference, listing, sequences};
    use crate::program::{Kind, Node, Program};
    use object::Architecture;

    #[test]
    fn a_listing_holds_the_sequences_and_misses_none() {
        let node = |name: &str, code: &[u8]| Node::new(name, Kind::Code, code.to_vec());
        let nodes = vec![node("sequence.isb", &[0xdf, 0x3f, 0x03, 0xd5]), node("asids.flush", &[0; 4])];
        let program = Program { architecture: Architecture::Aarch64, nodes };
        assert_eq!(listing(&program, "pub fn isb() {").expect("a listing"), "isb:\n    isb\n");
        let missing = listing(&program, "pub fn isb() {\npub fn dsb_ish() {").expect_err("no dsb_ish");
        assert_eq!(missing.to_string(), "no sequence for [\"dsb_ish\"]");
        assert!(listing(&program, "").is_err(), "a source without sequences is not understood");
    }

    #[test]
    fn another_instruction_is_a_difference() {
        assert_eq!(difference("x86_64", "f:\n    ret\n", "f:\n    ret\n"), None);
        let found = difference("x86_64", "f:\n    ret\n", "f:\n    iretq\n").expect("a difference");
        assert!(found.contains("-    ret\n+    iretq\n"), "{found}");
    }

    #[test]
    fn functions_and_entries_of_macros_are_sequences() {
        let source = "pub unsafe fn isb() {\nmacro_rules! m {\n    tlbi_vae1, \"tlbi vae1, {}\", \"x\";\n    \
                      read_a, write_a, \"a\", \"b\";\n    fence_b(b: B = u64::from(b.n())), \"+h\", \"x\";\n            \"invlpgb\", \"x\"\n            pub unsafe fn $name() {\n\
                      pub fn f(a: u32) {\nfn private() {\n";
        assert_eq!(sequences(source), ["isb", "tlbi_vae1", "read_a", "write_a", "fence_b", "f"]);
    }
}
