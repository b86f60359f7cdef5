//! A library that was built to be looked at.

use crate::program::Program;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;

/// The platforms of `measured/`. On the last one the hardware part is an arch crate's.
pub const PLATFORMS: [&str; 5] = ["untagged", "slots", "asids", "kept", "hardware"];

/// Those of the coherence layer alone.
pub const COHERENT: [&str; 2] = ["coherent", "coherent_asids"];

/// Operations of which each platform has a function, and each of the coherence layer.
const OPERATIONS: [usize; 2] = [33, 28];

/// A library, and for what and how it was built.
#[derive(Debug)]
pub struct Built {
    /// Architecture and profile, `riscv64/size`.
    pub name: String,
    /// The library.
    pub program: Program,
}

impl Built {
    /// Reads `ARCHITECTURE/PROFILE=LIBRARY`.
    ///
    /// # Errors
    /// It is not of this form, or cannot be read.
    pub fn read(named: &str) -> Result<Self> {
        let (name, path) = named.split_once('=').with_context(|| format!("{named} names no library"))?;
        let library = std::fs::read(path).with_context(|| format!("cannot read {path}"))?;
        Ok(Self { name: name.to_owned(), program: Program::read(&library).with_context(|| path.to_owned())? })
    }

    /// The operations on `platform`, by name.
    ///
    /// # Errors
    /// Some are missing.
    pub fn operations(&self, platform: &str) -> Result<BTreeMap<&str, usize>> {
        let found = self.program.group(platform);
        let expected = OPERATIONS[usize::from(COHERENT.contains(&platform))];
        ensure!(
            found.len() == expected,
            "{} has {} operations of {platform}, not {expected}",
            self.name,
            found.len()
        );
        Ok(found)
    }

    /// A function that is known to be out of bounds.
    ///
    /// # Errors
    /// It is missing.
    pub fn control(&self, name: &str) -> Result<usize> {
        let found = self.program.group("control").remove(name);
        found.with_context(|| format!("{} has no control.{name}", self.name))
    }
}
