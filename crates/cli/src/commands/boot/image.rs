//! The kernel's image.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::machine::Machine;
use crate::failure::Failure;
use crate::truth;

/// Name of the file that is built.
const FILE: &str = "shootdown-kernel";

/// Uses an image that is there already.
///
/// # Errors
/// It cannot be read, or is no ELF file.
pub fn existing(path: &Path) -> Result<PathBuf, Failure> {
    let remedy = "leave --image away to build one";
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(4).read_to_end(&mut start));
    read.map_err(|error| {
        Failure::bad_input(format!("image {} cannot be read: {error}", path.display()), remedy)
    })?;
    if start != b"\x7fELF" {
        return Err(Failure::bad_input(format!("image {} is no ELF file", path.display()), remedy));
    }
    Ok(path.to_owned())
}

/// The differences of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Build {
    /// How the engine is built, and watched.
    pub engine: Engine,
    /// How many CPUs there is room for.
    pub room: Room,
}

/// How the engine is built, and watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// As it is shipped, with a shadow beside it.
    Usual,
    /// With switches for its rules.
    Switches,
    /// Without the shadow.
    Unwatched,
}

/// How many CPUs there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// A word of a mask.
    Usual,
    /// As many as any machine has.
    Wide,
}

impl Build {
    /// Where it is built, below the kernel's folder.
    fn folder(self) -> &'static str {
        match (self.engine, self.room) {
            (Engine::Usual, Room::Usual) => "target",
            (Engine::Usual, Room::Wide) => "target/wide",
            (Engine::Switches, Room::Usual) => "target/break",
            (Engine::Switches, Room::Wide) => "target/break-wide",
            (Engine::Unwatched, Room::Usual) => "target/count",
            (Engine::Unwatched, Room::Wide) => "target/count-wide",
        }
    }
}

/// Builds the kernel for a machine and returns its image.
///
/// # Errors
/// The source is not there, the target is not installed, or the build fails.
pub fn build(machine: &Machine, build: Build) -> Result<PathBuf, Failure> {
    let folder = checkout().join("kernel");
    if !folder.join("Cargo.toml").is_file() {
        return Err(Failure::bad_input(
            format!("the kernel's source is not at {}", folder.display()),
            "run from a checkout of the repository, or give --image FILE",
        ));
    }
    ensure_core(machine.target)?;
    let target_folder = folder.join(build.folder());
    let mut command = cargo(&folder);
    command.args(["build", "--release", "--locked", "--target", machine.target]);
    command.arg("--target-dir").arg(&target_folder);
    match build.engine {
        Engine::Usual => {}
        Engine::Switches => {
            let flags = format!("target.{}.rustflags=[\"--cfg\",\"shootdown_break\"]", machine.target);
            command.args(["--config", &flags]);
        }
        Engine::Unwatched => {
            command.args(["--features", "unwatched"]);
        }
    }
    if build.room == Room::Wide {
        command.args(["--features", "wide"]);
    }
    run(command, "the kernel")?;
    Ok(target_folder.join(machine.target).join("release").join(FILE))
}

/// The checkout here, or the folder where one was when this program was built.
fn checkout() -> PathBuf {
    truth::checkout().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

/// Builds the plugin that counts instructions, and returns its file.
///
/// # Errors
/// The source is not there, or the build fails.
pub fn plugin() -> Result<PathBuf, Failure> {
    let folder = checkout().join("kernel/qemu-plugin");
    let mut command = cargo(&folder);
    command.args(["build", "--release", "--locked"]);
    run(command, "the plugin")?;
    Ok(folder.join("target/release/libshootdown_qemu_plugin.so"))
}

/// Cargo in `folder`, without what the caller's cargo has set for the caller's package.
fn cargo(folder: &Path) -> Command {
    let mut command = Command::new("cargo");
    for name in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command.current_dir(folder);
    command
}

/// Runs cargo, which says on the way what it builds.
fn run(mut command: Command, what: &str) -> Result<(), Failure> {
    let built = command.stdout(Stdio::null()).status().map_err(|error| {
        Failure::bad_input(
            format!("cargo cannot be started: {error}"),
            "install Rust with rustup, https://rustup.rs",
        )
    })?;
    if !built.success() {
        return Err(Failure::bad_input(format!("{what} does not build"), "see above"));
    }
    Ok(())
}

fn ensure_core(target: &str) -> Result<(), Failure> {
    let folder = Command::new("rustc").args(["--print", "target-libdir", "--target", target]).output().ok();
    let folder = folder.and_then(|output| String::from_utf8(output.stdout).ok());
    let files = folder.and_then(|folder| Path::new(folder.trim()).read_dir().ok());
    let mut names = files.into_iter().flatten().flatten().map(|file| file.file_name());
    if names.any(|name| name.to_string_lossy().starts_with("libcore-")) {
        return Ok(());
    }
    let remedy = format!("rustup target add {target}");
    Err(Failure::bad_input(format!("Rust's target {target} is not installed"), remedy))
}

#[cfg(test)]
mod tests {
    use super::existing;
    use std::path::Path;

    #[test]
    fn what_is_no_image_is_refused() {
        let missing = existing(Path::new("no/such/image")).expect_err("refused").to_string();
        assert!(missing.contains("cannot be read"), "{missing}");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        assert!(existing(&source).expect_err("refused").to_string().contains("no ELF file"));
    }
}
