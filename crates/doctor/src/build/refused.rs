use std::fmt;
use std::path::PathBuf;

/// Why there is nothing to examine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DoctorError {
    /// There is no such file or folder, or it cannot be read.
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// It is neither Rust nor a crate with a library.
    NotRust(PathBuf),
    /// It is a crate without a library, and names no file to compile in place of one.
    NoLibrary(PathBuf),
    /// It uses atomics that the explorer does not see.
    HiddenState {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// It names no `PlatformUnderTest`.
    NoPlatform(PathBuf),
    /// It does not compile against the engine and the ports.
    DoesNotCompile {
        /// The path.
        path: PathBuf,
        /// What the compiler says.
        errors: String,
    },
    /// The sources of the engine are not where this program was built.
    NoCheckout(PathBuf),
    /// The folder for what is built cannot be written to.
    Unwritable {
        /// The path.
        path: PathBuf,
        /// What the system says.
        error: String,
    },
    /// cargo, or the program that it built, does not start.
    CannotRun {
        /// The program.
        program: PathBuf,
        /// What the system says.
        error: String,
    },
}

impl DoctorError {
    /// What to do about it.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "give a Rust source file, or the folder of a crate",
            Self::NotRust(_) => "give a file that ends in .rs, or a folder with a Cargo.toml and a library",
            Self::NoLibrary(_) => {
                "write a file that includes the platform, and name it in Cargo.toml: `[package.metadata.shootdown-doctor] root = \
                 \"doctor.rs\"`; examples/trampoline has one, and examples/jit one for a machine of shootdown-host"
            }
            Self::HiddenState { .. } => {
                "take shootdown::ports::sync::Word instead: the doctor must see each access that other CPUs can see; a crate whose atomics \
                 decide nothing says `core-atomics = true` in [package.metadata.shootdown-doctor]"
            }
            Self::NoPlatform(_) => {
                "name the platform to examine: `pub type PlatformUnderTest<H> = MyPlatform<H>;` at the root of the file or crate, or in a \
                 file that Cargo.toml names, as in examples/trampoline"
            }
            Self::DoesNotCompile { .. } => {
                "mend what the compiler names; the platform must implement shootdown::Platform and shootdown::ports::Portable<H> over ports H; \
                 examples/ports/toy_kernel.rs is one that does"
            }
            Self::NoCheckout(_) => "run the doctor from a checkout of this project",
            Self::Unwritable { .. } => "make room, or give the folder to yourself",
            Self::CannotRun { .. } => {
                "install Rust with rustup, https://rustup.rs; where it is there, raise the limit on processes (`ulimit -u`)"
            }
        }
    }
}

impl fmt::Display for DoctorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::NotRust(path) => write!(f, "{} is no Rust source file and no crate", path.display()),
            Self::NoLibrary(path) => write!(f, "{} is a crate without a library", path.display()),
            Self::HiddenState { path, line, text } => {
                write!(f, "{}:{line} uses an atomic that the doctor cannot see: {text}", path.display())
            }
            Self::NoPlatform(path) => write!(f, "{} names no platform", path.display()),
            Self::DoesNotCompile { path, errors } => {
                write!(f, "{} does not compile:\n{}", path.display(), errors.trim_end())
            }
            Self::NoCheckout(path) => write!(f, "the engine's sources are not in {}", path.display()),
            Self::Unwritable { path, error } => write!(f, "cannot write {}: {error}", path.display()),
            Self::CannotRun { program, error } => write!(f, "cannot run {}: {error}", program.display()),
        }
    }
}

impl std::error::Error for DoctorError {}
