//! What a guest is loaded from: an ELF file for RV64.

use crate::stage2::{RAM, RAM_END};
use object::elf::{EM_RISCV, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, LittleEndian};
use std::fmt;

/// A guest, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Where it begins.
    pub entry: u64,
    /// Guest-physical memory from its start.
    pub memory: Vec<u8>,
}

/// Why a file is no guest.
#[derive(Debug)]
pub enum ImageError {
    /// It is no ELF file of 64 bits, or a broken one.
    NotElf(object::read::Error),
    /// It is for another machine.
    Machine(u16),
    /// The high end comes first in it.
    BigEndian,
    /// It has no segment to load.
    Empty,
    /// A segment lies outside of guest memory, or is larger in the file than in memory.
    Outside(u64, u64),
    /// It begins outside of what it loads.
    Entry(u64),
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf(error) => write!(f, "not a 64-bit ELF file: {error}; link the guest as one"),
            Self::Machine(machine) => {
                write!(f, "made for ELF machine {machine}, not for RISC-V ({EM_RISCV}); build it for riscv64")
            }
            Self::BigEndian => f.write_str("a big-endian file; build it for little-endian riscv64"),
            Self::Empty => f.write_str("nothing to load in it: no segment of type LOAD"),
            Self::Outside(start, size) => write!(
                f,
                "segment of {size:#x} bytes at {start:#x} is not within guest memory, {RAM:#x} to {RAM_END:#x}; link it there"
            ),
            Self::Entry(entry) => write!(
                f,
                "entry point {entry:#x} is not a multiple of 4 within guest memory, {RAM:#x} to {RAM_END:#x}; set it with the \
                 linker's --entry"
            ),
        }
    }
}

impl std::error::Error for ImageError {}

impl Image {
    /// Reads an ELF file.
    ///
    /// # Errors
    /// [`ImageError`], with the value that is wrong and what to do.
    pub fn parse(file: &[u8]) -> Result<Self, ImageError> {
        let header = FileHeader64::<Endianness>::parse(file).map_err(ImageError::NotElf)?;
        let endian = header.endian().map_err(ImageError::NotElf)?;
        if endian != Endianness::Little {
            return Err(ImageError::BigEndian);
        }
        let header = FileHeader64::<LittleEndian>::parse(file).map_err(ImageError::NotElf)?;
        let machine = header.e_machine(LittleEndian);
        if machine != EM_RISCV {
            return Err(ImageError::Machine(machine.0));
        }
        let mut memory = Vec::new();
        for segment in header.program_headers(LittleEndian, file).map_err(ImageError::NotElf)? {
            if segment.p_type(LittleEndian) == PT_LOAD && segment.p_memsz(LittleEndian) != 0 {
                load(&mut memory, segment, file)?;
            }
        }
        if memory.is_empty() {
            return Err(ImageError::Empty);
        }
        let entry = header.e_entry(LittleEndian);
        if entry & 3 != 0 || !(RAM..RAM + memory.len() as u64).contains(&entry) {
            return Err(ImageError::Entry(entry));
        }
        Ok(Self { entry, memory })
    }
}

fn load(
    memory: &mut Vec<u8>,
    segment: &impl ProgramHeader<Endian = LittleEndian, Word = u64>,
    file: &[u8],
) -> Result<(), ImageError> {
    let (start, size) = (segment.p_paddr(LittleEndian), segment.p_memsz(LittleEndian));
    let outside = ImageError::Outside(start, size);
    let Ok(data) = segment.data(LittleEndian, file) else { return Err(outside) };
    let end = start.checked_add(size).filter(|&end| start >= RAM && end <= RAM_END);
    let Some(end) = end.filter(|_| data.len() as u64 <= size) else { return Err(outside) };
    let (from, to) = ((start - RAM) as usize, (end - RAM) as usize);
    memory.resize(memory.len().max(to), 0);
    memory[from..from + data.len()].copy_from_slice(data);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests;

    /// The file of a built-in guest with `bytes` put in at `at`.
    fn changed(at: usize, bytes: &[u8]) -> Vec<u8> {
        let mut file = guests::named("hello").expect("it is built in").elf.to_vec();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    }

    fn refusal(file: &[u8]) -> String {
        Image::parse(file).expect_err("it is malformed").to_string()
    }

    #[test]
    fn built_in_guests_load() {
        for guest in guests::ALL {
            let image = Image::parse(guest.elf).expect(guest.name);
            assert!(image.entry >= RAM && !image.memory.is_empty(), "{}", guest.name);
        }
    }

    #[test]
    fn malformed_files_are_refused_with_their_value() {
        assert!(refusal(b"").contains("not a 64-bit ELF file"));
        assert!(refusal(b"#!/bin/sh\n").contains("not a 64-bit ELF file"));
        assert!(refusal(&changed(18, &62_u16.to_le_bytes())).contains("made for ELF machine 62"));
        assert!(refusal(&changed(24, &0x1234_u64.to_le_bytes())).contains("entry point 0x1234"));
        assert!(
            refusal(&changed(32, &u64::MAX.to_le_bytes())).contains("not a 64-bit ELF file"),
            "program headers beyond the end"
        );
        assert!(refusal(&changed(56, &0_u16.to_le_bytes())).contains("nothing to load"));
    }

    #[test]
    fn segments_outside_of_memory_are_refused() {
        let file = guests::named("hello").expect("it is built in").elf;
        let headers = u64::from_le_bytes(file[32..40].try_into().expect("8 bytes")) as usize;
        let count = usize::from(u16::from_le_bytes([file[56], file[57]]));
        let loads = (0..count).map(|n| headers + 56 * n);
        let first = { loads }.find(|&at| file[at..at + 4] == [1, 0, 0, 0]).expect("a segment to load");
        let huge = changed(first + 40, &u64::MAX.to_le_bytes());
        assert!(refusal(&huge).contains("is not within guest memory"), "{}", refusal(&huge));
        let low = changed(first + 24, &0x1000_u64.to_le_bytes());
        assert!(refusal(&low).contains("at 0x1000"), "{}", refusal(&low));
        let beyond = changed(first + 8, &(1_u64 << 40).to_le_bytes());
        assert!(refusal(&beyond).contains("is not within guest memory"), "data beyond the file");
    }
}
