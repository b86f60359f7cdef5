//! Machine code in the words of the manuals.
//!
//! Capstone disassembles it: one library for four architectures (LoongArch, which Capstone 5 lacks, is decoded in
//! [`fallback`] alone), pinned by Cargo.lock and built from its own source with the
//! C compiler that the project needs anyway. Programs of the system (objdump, llvm-objdump) know other instructions and
//! write them otherwise from release to release, and a fresh Debian has none for foreign architectures.

use crate::fallback;
use anyhow::{Context, Result, bail};
use capstone::prelude::*;
use object::Architecture;

/// Disassembles code of one architecture.
pub struct Disassembler {
    architecture: Architecture,
    /// Nothing where all that is known is in [`fallback`].
    engine: Option<Capstone>,
}

impl Disassembler {
    /// Makes one.
    ///
    /// # Errors
    /// There is none for the architecture.
    pub fn new(architecture: Architecture) -> Result<Self> {
        let new = Capstone::new();
        let engine = match architecture {
            Architecture::X86_64 => new.x86().mode(arch::x86::ArchMode::Mode64).build(),
            Architecture::Aarch64 => new.arm64().mode(arch::arm64::ArchMode::Arm).build(),
            Architecture::Riscv64 => {
                let compressed = [arch::riscv::ArchExtraMode::RiscVC];
                new.riscv().mode(arch::riscv::ArchMode::RiscV64).extra_mode(compressed.into_iter()).build()
            }
            Architecture::Sparc64 => new.sparc().mode(arch::sparc::ArchMode::V9).build(),
            Architecture::LoongArch64 => return Ok(Self { architecture, engine: None }),
            other => bail!("no disassembler for {other:?}"),
        };
        let engine = engine.with_context(|| format!("disassembler for {architecture:?}"))?;
        Ok(Self { architecture, engine: Some(engine) })
    }

    /// Returns each instruction as its name and its operands. Bytes that are none become `.byte`.
    ///
    /// # Errors
    /// The disassembler fails.
    pub fn instructions(&self, code: &[u8]) -> Result<Vec<String>> {
        let (mut found, mut rest) = (Vec::new(), code);
        while !rest.is_empty() {
            let (length, instruction) = self.first(rest)?;
            found.push(instruction);
            rest = &rest[length..];
        }
        Ok(found)
    }

    /// Disassembles one instruction, and returns how long it is.
    fn first(&self, code: &[u8]) -> Result<(usize, String)> {
        if let Some(known) = fallback::first(self.architecture, code) {
            return Ok(known);
        }
        let found = match &self.engine {
            Some(engine) => Some(engine.disasm_count(code, 0, 1)?),
            None => None,
        };
        let Some(instruction) = found.as_ref().and_then(|found| found.first()) else {
            let length = if self.architecture == Architecture::X86_64 { 1 } else { 4 }.min(code.len());
            let bytes: Vec<String> = code[..length].iter().map(|byte| format!("{byte:#04x}")).collect();
            return Ok((length, format!(".byte {}", bytes.join(", "))));
        };
        let (name, operands) = (instruction.mnemonic().unwrap_or("?"), instruction.op_str().unwrap_or(""));
        Ok((instruction.bytes().len(), format!("{name} {operands}").trim_end().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::Disassembler;
    use object::Architecture;

    #[test]
    fn one_instruction_of_each_architecture_is_disassembled() {
        let table: [(Architecture, &[u8], usize, &str); 8] = [
            (Architecture::X86_64, &[0x0f, 0x22, 0xdf, 0xc3], 3, "mov cr3, rdi"),
            (Architecture::X86_64, &[0x0f, 0x01, 0xfe], 3, "invlpgb rax, ecx, edx"),
            (Architecture::Aarch64, &[0x20, 0x86, 0x08, 0xd5], 4, "tlbi rvae1, x0"),
            (Architecture::Riscv64, &[0x73, 0x00, 0xb5, 0x12], 4, "sfence.vma a0, a1"),
            (Architecture::Sparc64, &[0x81, 0xc3, 0xe0, 0x08], 4, "retl"),
            (Architecture::LoongArch64, &[0x00, 0x80, 0x49, 0x06], 4, "invtlb 0, $zero, $zero"),
            (Architecture::LoongArch64, &[0xff, 0xff, 0xff, 0xff], 4, ".byte 0xff, 0xff, 0xff, 0xff"),
            (Architecture::Riscv64, &[0xff, 0xff, 0xff, 0xff], 4, ".byte 0xff, 0xff, 0xff, 0xff"),
        ];
        for (architecture, code, length, text) in table {
            let disassembler = Disassembler::new(architecture).expect("a disassembler");
            let found = disassembler.first(code).expect("an instruction");
            assert_eq!(found, (length, text.to_owned()));
        }
    }
}
