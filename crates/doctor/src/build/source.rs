//! What the user gave.

use super::DoctorError;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A library that holds a platform.
#[derive(Debug)]
pub(super) struct Source {
    /// What the user called it.
    pub(super) given: PathBuf,
    /// The root file.
    pub(super) root: PathBuf,
    pub(super) edition: String,
    /// Lines of a manifest: what it depends on besides the engine.
    pub(super) dependencies: Vec<String>,
    /// Whether the platform is one over any ports, and not over instructions for which others stand in.
    pub(super) is_generic: bool,
    /// Whether atomics of `core` run, though no other CPU comes in between.
    core_atomics: bool,
}

/// What a crate that is no library says in `package.metadata`, and what of it is not examined.
const METADATA: &str = "shootdown-doctor";
/// Packages, and what stands in for each: its own source, on the simulated machine's instructions or CPUs.
const STAND_INS: [(&str, &str); 3] = [
    ("shootdown-host", "checks/host"),
    ("shootdown-riscv64", "checks/riscv64"),
    ("shootdown-x86_64", "checks/x86_64"),
];

/// What the platform is called.
const NAME: &str = "PlatformUnderTest";
/// The package that is replaced by the one that the explorer sees.
const ENGINE: &str = "shootdown";
/// Most bytes of a source file.
const MOST: u64 = 64 << 20;

impl Source {
    pub(super) fn find(path: &Path, checkout: &Path) -> Result<(Self, Vec<Hidden>), DoctorError> {
        let unreadable = |error: std::io::Error| DoctorError::Unreadable {
            path: path.to_path_buf(),
            error: error.to_string(),
        };
        let real = fs::canonicalize(path).map_err(unreadable)?;
        let mut source =
            if real.is_dir() { Self::of_crate(path, &real, checkout)? } else { Self::of_file(path, real)? };
        let hidden = source.read()?;
        Ok((source, hidden))
    }

    fn of_file(given: &Path, root: PathBuf) -> Result<Self, DoctorError> {
        if root.extension().is_none_or(|extension| extension != "rs") {
            return Err(DoctorError::NotRust(given.to_path_buf()));
        }
        let (dependencies, core_atomics) = (Vec::new(), false);
        let (given, edition) = (given.to_path_buf(), "2024".to_owned());
        Ok(Self { given, root, edition, dependencies, is_generic: false, core_atomics })
    }

    fn of_crate(given: &Path, folder: &Path, checkout: &Path) -> Result<Self, DoctorError> {
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(DoctorError::NotRust(given.to_path_buf()));
        }
        let mut cargo = Command::new("cargo");
        cargo.args(["metadata", "--no-deps", "--format-version", "1", "--manifest-path"]).arg(&manifest);
        let output = cargo
            .output()
            .map_err(|error| DoctorError::CannotRun { program: "cargo".into(), error: error.to_string() })?;
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let metadata: Value = serde_json::from_slice(&output.stdout)
            .map_err(|_| DoctorError::DoesNotCompile { path: given.to_path_buf(), errors })?;
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let here = |package: &&Value| package["manifest_path"].as_str().map(Path::new) == Some(&manifest);
        let package = packages.into_iter().find(here);
        let package = package.ok_or_else(|| DoctorError::NotRust(given.to_path_buf()))?;
        let is_library = |target: &&Value| {
            target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
        };
        let library = package["targets"].as_array().into_iter().flatten().find(is_library);
        let library = library.and_then(|library| library["src_path"].as_str()).map(PathBuf::from);
        let told = &package["metadata"][METADATA];
        let none = || DoctorError::NoLibrary(given.to_path_buf());
        let needed = told["dependencies"].as_array();
        let root = told["root"].as_str().map(|root| folder.join(root)).or(library);
        Ok(Self {
            given: given.to_path_buf(),
            root: root.ok_or_else(none)?,
            edition: package["edition"].as_str().unwrap_or("2024").to_owned(),
            dependencies: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|line| needed.is_none_or(|needed| needed.contains(&line["name"])))
                .filter_map(|line| dependency(line, checkout))
                .collect(),
            is_generic: false,
            core_atomics: told["core-atomics"] == true,
        })
    }

    /// Looks for what the explorer cannot see, which it returns where it may be there, and for what it needs.
    fn read(&mut self) -> Result<Vec<Hidden>, DoctorError> {
        let (mut named, mut found) = (false, Vec::new());
        let mut files = vec![self.root.clone()];
        let folder = self.root.parent().unwrap_or(&self.root);
        if self.given.is_dir() && self.root.file_name().is_some_and(|name| name == "lib.rs") {
            files = rust_files(folder);
        }
        let mut at = 0;
        while let Some(path) = files.get(at).cloned() {
            at += 1;
            let mut text = String::new();
            // A device has no end.
            File::open(&path)
                .and_then(|file| file.take(MOST).read_to_string(&mut text))
                .map_err(|error| DoctorError::Unreadable { path: path.clone(), error: error.to_string() })?;
            // Types of `shootdown_host::sync` have the names of `core`'s: they are seen where the file takes none of those.
            let taken = |module| text.lines().any(|line| line.contains(module) && has_atomic(line));
            let are_seen = taken("shootdown_host::sync::") && !taken("sync::atomic::");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                named |= has_word(code, NAME);
                self.is_generic |= code.contains("PlatformUnderTest<");
                if let Some(module) =
                    code.trim().strip_prefix("#[path = \"").and_then(|rest| rest.split('"').next())
                {
                    files.push(path.parent().unwrap_or(folder).join(module));
                }
                if !are_seen && has_atomic(code) {
                    found.push(Hidden { path: path.clone(), line: number + 1, text: line.trim().to_owned() });
                }
            }
        }
        // First of all: what a crate without a platform has is no mistake of a platform's.
        if !named {
            return Err(DoctorError::NoPlatform(self.given.clone()));
        }
        if let (Some(first), false) = (found.first(), self.core_atomics) {
            let Hidden { path, line, text } = first.clone();
            return Err(DoctorError::HiddenState { path, line, text });
        }
        found.retain(|hidden| !hidden.text.starts_with("use "));
        Ok(found)
    }
}

/// An atomic of `core` in a platform: it runs, and no other CPU comes in before it.
#[derive(Clone, Debug)]
pub(super) struct Hidden {
    pub(super) path: PathBuf,
    pub(super) line: usize,
    pub(super) text: String,
}

/// The Rust files below a folder, in order.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    let is_rust = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    entries.into_iter().flat_map(below).filter(is_rust).collect()
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
}

fn has_word(code: &str, word: &str) -> bool {
    words(code).any(|part| part == word)
}

fn has_atomic(code: &str) -> bool {
    words(code).any(is_atomic)
}

/// Whether a word is the name of a type of `core::sync::atomic`.
fn is_atomic(word: &str) -> bool {
    let kind = word.strip_prefix("Atomic").unwrap_or_default();
    ["Bool", "Ptr", "Usize", "Isize"].contains(&kind)
        || kind.strip_prefix(['U', 'I']).is_some_and(|bits| ["8", "16", "32", "64", "128"].contains(&bits))
}

/// A dependency as a line of a manifest, unless it is the engine, optional, or of a build script or test. For an arch
/// crate it is what stands in for it.
fn dependency(dependency: &Value, checkout: &Path) -> Option<String> {
    let name = dependency["name"].as_str()?;
    let optional = dependency["optional"].as_bool() == Some(true);
    if name == ENGINE || optional || !dependency["kind"].is_null() {
        return None;
    }
    let key = dependency["rename"].as_str().unwrap_or(name);
    if let Some((_, folder)) = STAND_INS.iter().find(|(arch, _)| *arch == name) {
        return Some(format!(
            "{key} = {{ package = \"{name}-under-doctor\", path = {:?} }}",
            checkout.join(folder)
        ));
    }
    let mut fields = vec![format!("package = {name:?}")];
    match (dependency["path"].as_str(), dependency["source"].as_str()) {
        (Some(path), _) => fields.push(format!("path = {path:?}")),
        (None, Some(source)) if source.starts_with("git+") => {
            let url = source.trim_start_matches("git+").split(['?', '#']).next().unwrap_or_default();
            fields.push(format!("git = {url:?}"));
        }
        _ => fields.push(format!("version = {:?}", dependency["req"].as_str().unwrap_or("*"))),
    }
    let features = dependency["features"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let features: Vec<String> = features.iter().filter_map(Value::as_str).map(|f| format!("{f:?}")).collect();
    fields.push(format!("features = [{}]", features.join(", ")));
    fields.push(format!("default-features = {}", dependency["uses_default_features"] != false));
    Some(format!("{key} = {{ {} }}", fields.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{dependency, is_atomic};
    use serde_json::json;
    use std::path::Path;

    #[test]
    fn atomics_are_known_by_their_names() {
        for word in ["AtomicU64", "AtomicBool", "AtomicPtr", "AtomicI8", "AtomicUsize"] {
            assert!(is_atomic(word), "{word}");
        }
        for word in ["Atomic", "AtomicOrdering", "atomic", "AtomicUnit", "Word"] {
            assert!(!is_atomic(word), "{word}");
        }
    }

    #[test]
    fn a_crate_keeps_its_dependencies_but_for_the_engine() {
        let registry = json!({"name": "bitflags", "rename": null, "req": "^2", "source": "registry+x", "path": null,
            "kind": null, "optional": false, "features": ["std"], "uses_default_features": false});
        let line = r#"bitflags = { package = "bitflags", version = "^2", features = ["std"], default-features = false }"#;
        let checkout = Path::new("/checkout");
        assert_eq!(dependency(&registry, checkout).as_deref(), Some(line));
        let arch = json!({"name": "shootdown-riscv64", "kind": null});
        let line = r#"shootdown-riscv64 = { package = "shootdown-riscv64-under-doctor", path = "/checkout/checks/riscv64" }"#;
        assert_eq!(dependency(&arch, checkout).as_deref(), Some(line));
        for (field, value) in
            [("name", json!("shootdown")), ("kind", json!("dev")), ("optional", json!(true))]
        {
            let mut other = registry.clone();
            other[field] = value;
            assert_eq!(dependency(&other, checkout), None, "{field}");
        }
    }
}
