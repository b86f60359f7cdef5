//! Disassembles the functions of `shootdown-probe`, in the words of the manuals.
//!
//! Capstone does it: one library for four architectures, pinned by Cargo.lock and built from its own source with the C
//! compiler that the project needs anyway. Programs of the system (objdump, llvm-objdump) know other instructions and write
//! them otherwise from release to release, and a fresh Debian has none for foreign architectures. What Capstone does not
//! know yet is decoded here.

mod fallback;

use anyhow::{Context, Result, ensure};
use capstone::prelude::*;
use object::read::archive::ArchiveFile;
use object::{Architecture, Object, ObjectSection, ObjectSymbol, SymbolKind};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Name and machine code of each function that has a C name, from all objects of a static library.
///
/// # Errors
/// The library cannot be read, or holds objects of several architectures.
pub fn functions(library: &[u8]) -> Result<(Architecture, BTreeMap<String, Vec<u8>>)> {
    let archive = ArchiveFile::parse(library).context("not a library")?;
    let (mut architecture, mut found) = (None, BTreeMap::new());
    for member in archive.members() {
        let data = member?.data(library)?;
        // Besides objects there is a file of metadata.
        let Ok(object) = object::File::parse(data) else { continue };
        let before = architecture.replace(object.architecture());
        ensure!(before.is_none() || before == architecture, "objects of several architectures");
        for symbol in object.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
            let name = symbol.name()?;
            let Some(section) = symbol.section_index() else { continue };
            if name.starts_with("_R") || name.starts_with("_ZN") || !symbol.is_global() {
                continue;
            }
            let section = object.section_by_index(section)?;
            let code =
                section.data_range(symbol.address(), symbol.size())?.context("code beyond its section")?;
            found.insert(name.to_owned(), code.to_vec());
        }
    }
    Ok((architecture.context("no object in the library")?, found))
}

/// Writes the instructions of each function, one a line.
///
/// # Errors
/// No disassembler for the architecture.
pub fn listing(architecture: Architecture, functions: &BTreeMap<String, Vec<u8>>) -> Result<String> {
    let engine = engine(architecture)?;
    let mut text = String::new();
    for (name, code) in functions {
        writeln!(text, "{name}:")?;
        let mut rest = code.as_slice();
        while !rest.is_empty() {
            let (length, instruction) = first(&engine, architecture, rest)?;
            writeln!(text, "    {instruction}")?;
            rest = &rest[length..];
        }
    }
    Ok(text)
}

/// Disassembles one instruction, and returns how long it is.
fn first(engine: &Capstone, architecture: Architecture, code: &[u8]) -> Result<(usize, String)> {
    if let Some((length, name)) = fallback::first(architecture, code) {
        return Ok((length, name));
    }
    let found = engine.disasm_count(code, 0, 1)?;
    let Some(instruction) = found.first() else {
        let length = if architecture == Architecture::X86_64 { 1 } else { 4 }.min(code.len());
        let bytes: Vec<String> = code[..length].iter().map(|byte| format!("{byte:#04x}")).collect();
        return Ok((length, format!(".byte {}", bytes.join(", "))));
    };
    let (name, operands) = (instruction.mnemonic().unwrap_or("?"), instruction.op_str().unwrap_or(""));
    Ok((instruction.bytes().len(), format!("{name} {operands}").trim_end().to_owned()))
}

fn engine(architecture: Architecture) -> Result<Capstone> {
    let new = Capstone::new();
    let engine = match architecture {
        Architecture::X86_64 => new.x86().mode(arch::x86::ArchMode::Mode64).build(),
        Architecture::Aarch64 => new.arm64().mode(arch::arm64::ArchMode::Arm).build(),
        Architecture::Riscv64 => {
            let compressed = [arch::riscv::ArchExtraMode::RiscVC];
            new.riscv().mode(arch::riscv::ArchMode::RiscV64).extra_mode(compressed.into_iter()).build()
        }
        Architecture::Sparc64 => new.sparc().mode(arch::sparc::ArchMode::V9).build(),
        other => anyhow::bail!("no disassembler for {other:?}"),
    };
    engine.with_context(|| format!("disassembler for {architecture:?}"))
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
            let words: Vec<&str> = list.split(", ").collect();
            if words.iter().all(is_name) {
                names.extend(words);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{first, sequences};
    use object::Architecture;

    #[test]
    fn functions_and_entries_of_macros_are_sequences() {
        let source = "pub unsafe fn isb() {\nmacro_rules! m {\n    tlbi_vae1, \"tlbi vae1, {}\", \"x\";\n    \
                      read_a, write_a, \"a\", \"b\";\n            \"invlpgb\", \"x\"\n            pub unsafe fn $name() {\n\
                      pub fn f(a: u32) {\nfn private() {\n";
        assert_eq!(sequences(source), ["isb", "tlbi_vae1", "read_a", "write_a", "f"]);
    }

    #[test]
    fn one_instruction_of_each_architecture_is_disassembled() {
        let table: [(Architecture, &[u8], usize, &str); 6] = [
            (Architecture::X86_64, &[0x0f, 0x22, 0xdf, 0xc3], 3, "mov cr3, rdi"),
            (Architecture::X86_64, &[0x0f, 0x01, 0xfe], 3, "invlpgb rax, ecx, edx"),
            (Architecture::Aarch64, &[0x20, 0x86, 0x08, 0xd5], 4, "tlbi rvae1, x0"),
            (Architecture::Riscv64, &[0x73, 0x00, 0xb5, 0x12], 4, "sfence.vma a0, a1"),
            (Architecture::Sparc64, &[0x81, 0xc3, 0xe0, 0x08], 4, "retl"),
            (Architecture::Riscv64, &[0xff, 0xff, 0xff, 0xff], 4, ".byte 0xff, 0xff, 0xff, 0xff"),
        ];
        for (architecture, code, length, text) in table {
            let engine = super::engine(architecture).expect("a disassembler");
            let found = first(&engine, architecture, code).expect("an instruction");
            assert_eq!(found, (length, text.to_owned()));
        }
    }
}
