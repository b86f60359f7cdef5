//! The program that is built around a platform.

use super::{DoctorError, Source};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Two packages: the platform's source as a library against the explorer's engine, and a program.
#[derive(Debug)]
pub(super) struct Package {
    folder: PathBuf,
    target: PathBuf,
    /// Name of the program, which no other platform's has.
    name: String,
    given: PathBuf,
}

fn main_of(source: &Source) -> String {
    let ports = if source.is_generic { "<shootdown_doctor::Sim>" } else { "" };
    format!("fn main() {{\n    shootdown_doctor::print_events::<subject::PlatformUnderTest{ports}>();\n}}\n")
}

impl Package {
    pub(super) fn write(checkout: &Path, source: &Source) -> Result<Self, DoctorError> {
        if !checkout.join("crates/doctor/Cargo.toml").is_file() {
            return Err(DoctorError::NoCheckout(checkout.to_path_buf()));
        }
        let mut hasher = DefaultHasher::new();
        source.root.hash(&mut hasher);
        let name = format!("examine-{:016x}", hasher.finish());
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout.join("target"), PathBuf::from);
        let target = checkout.join(target);
        let package =
            Self { folder: target.join("doctor").join(&name), target, name, given: source.given.clone() };
        let subject = format!("subject-{}", &package.name["examine-".len()..]);
        package.file("Cargo.toml", &program_manifest(&package.name, &subject, checkout))?;
        package.file("src/main.rs", &main_of(source))?;
        package.file("subject/Cargo.toml", &subject_manifest(&subject, source, checkout))?;
        // The versions that everything else is tested with, not the newest there are.
        if let Ok(lock) = fs::read_to_string(checkout.join("Cargo.lock")) {
            package.file("Cargo.lock", &lock)?;
        }
        Ok(package)
    }

    fn file(&self, name: &str, text: &str) -> Result<(), DoctorError> {
        let path = self.folder.join(name);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|error| DoctorError::Unwritable { path, error: error.to_string() })
    }

    /// Builds the program and returns its path.
    pub(super) fn build(&self) -> Result<PathBuf, DoctorError> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--release", "--quiet", "--manifest-path"]).arg(self.folder.join("Cargo.toml"));
        cargo.env("CARGO_TARGET_DIR", &self.target).stdin(Stdio::null()).stderr(Stdio::piped());
        // What cargo or a test sets for itself is not meant for this build.
        for (key, _) in std::env::vars_os() {
            let foreign = key.to_str().is_some_and(|key| {
                key.starts_with("CARGO_PKG_") || key.starts_with("CARGO_MANIFEST_") || key == "RUSTFLAGS"
            });
            if foreign {
                cargo.env_remove(key);
            }
        }
        let cannot = |error: std::io::Error| DoctorError::CannotRun {
            program: "cargo".into(),
            error: error.to_string(),
        };
        let mut child = cargo.spawn().map_err(cannot)?;
        let mut errors = String::new();
        if let Some(mut output) = child.stderr.take() {
            output.read_to_string(&mut errors).map_err(cannot)?;
        }
        if !child.wait().map_err(cannot)?.success() {
            return Err(DoctorError::DoesNotCompile { path: self.given.clone(), errors });
        }
        Ok(self.target.join("release").join(format!("{}{}", self.name, std::env::consts::EXE_SUFFIX)))
    }
}

fn program_manifest(name: &str, subject: &str, checkout: &Path) -> String {
    format!(
        "\
# Written by `shootdown doctor`, anew each time.
[package]
name = {name:?}
version = \"0.0.0\"
edition = \"2024\"

[workspace]

[dependencies]
shootdown-doctor = {{ path = {:?} }}
subject = {{ package = {subject:?}, path = \"subject\" }}

[profile.release.package.{name}]
opt-level = 0

[profile.release.package.{subject}]
opt-level = 0
",
        checkout.join("crates/doctor")
    )
}

fn subject_manifest(name: &str, source: &Source, checkout: &Path) -> String {
    format!(
        "\
# Written by `shootdown doctor`, anew each time.
[package]
name = {name:?}
version = \"0.0.0\"
edition = {:?}

[lib]
name = \"subject\"
path = {:?}

[dependencies]
shootdown = {{ package = \"shootdown-under-explore\", path = {:?} }}
{}
",
        source.edition,
        source.root,
        checkout.join("checks/explorer"),
        source.dependencies.join("\n")
    )
}
