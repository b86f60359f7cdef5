//! What is published, and in which shape.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::Path;

use crate::process::{cargo, read};

/// The packages of the workspace that may be published, as `cargo metadata` has them.
///
/// # Errors
/// Cargo does not say.
pub fn published(root: &Path) -> Result<Vec<Value>> {
    let metadata = read(&mut cargo(root, "metadata --no-deps --format-version 1"))?;
    let metadata: Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let public = packages.iter().filter(|package| package["publish"].is_null());
    let public: Vec<Value> = public.cloned().collect();
    ensure!(!public.is_empty(), "nothing is published");
    Ok(public)
}
