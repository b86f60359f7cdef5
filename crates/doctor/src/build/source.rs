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
}

/// The package that is replaced by the one that the explorer sees.
const ENGINE: &str = "shootdown";
/// Most bytes of a source file.
const MOST: u64 = 64 << 20;

impl Source {
    pub(super) fn find(path: &Path) -> Result<Self, DoctorError> {
        let unreadable = |error: std::io::Error| DoctorError::Unreadable {
            path: path.to_path_buf(),
            error: error.to_string(),
        };
        let real = fs::canonicalize(path).map_err(unreadable)?;
        let source = if real.is_dir() { Self::of_crate(path, &real)? } else { Self::of_file(path, real)? };
        source.read()?;
        Ok(source)
    }

    fn of_file(given: &Path, root: PathBuf) -> Result<Self, DoctorError> {
        if root.extension().is_none_or(|extension| extension != "rs") {
            return Err(DoctorError::NotRust(given.to_path_buf()));
        }
        let dependencies = Vec::new();
        Ok(Self { given: given.to_path_buf(), root, edition: "2024".to_owned(), dependencies })
    }

    fn of_crate(given: &Path, folder: &Path) -> Result<Self, DoctorError> {
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
        let root = library.and_then(|library| library["src_path"].as_str());
        Ok(Self {
            given: given.to_path_buf(),
            root: root.ok_or_else(|| DoctorError::NotRust(given.to_path_buf()))?.into(),
            edition: package["edition"].as_str().unwrap_or("2024").to_owned(),
            dependencies: package["dependencies"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(dependency)
                .collect(),
        })
    }

    /// Looks for what the explorer could not see, and for what it needs.
    fn read(&self) -> Result<(), DoctorError> {
        let mut named = false;
        let mut files = vec![self.root.clone()];
        if self.given.is_dir() {
            files = rust_files(self.root.parent().unwrap_or(&self.root));
        }
        for path in files {
            let mut text = String::new();
            // A device has no end.
            File::open(&path)
                .and_then(|file| file.take(MOST).read_to_string(&mut text))
                .map_err(|error| DoctorError::Unreadable { path: path.clone(), error: error.to_string() })?;
            for (at, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                named |= has_word(code, "PlatformUnderTest");
                if code.split(|c: char| !c.is_alphanumeric() && c != '_').any(is_atomic) {
                    let text = line.trim().to_owned();
                    return Err(DoctorError::HiddenState { path, line: at + 1, text });
                }
            }
        }
        if named { Ok(()) } else { Err(DoctorError::NoPlatform(self.given.clone())) }
    }
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

fn has_word(code: &str, word: &str) -> bool {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

/// Whether a word is the name of a type of `core::sync::atomic`.
fn is_atomic(word: &str) -> bool {
    let kind = word.strip_prefix("Atomic").unwrap_or_default();
    ["Bool", "Ptr", "Usize", "Isize"].contains(&kind)
        || kind.strip_prefix(['U', 'I']).is_some_and(|bits| ["8", "16", "32", "64", "128"].contains(&bits))
}

/// A dependency as a line of a manifest, unless it is one of ours, optional, or of a build script or test.
fn dependency(dependency: &Value) -> Option<String> {
    let name = dependency["name"].as_str()?;
    let optional = dependency["optional"].as_bool() == Some(true);
    if name == ENGINE || optional || !dependency["kind"].is_null() {
        return None;
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
    let key = dependency["rename"].as_str().unwrap_or(name);
    Some(format!("{key} = {{ {} }}", fields.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::{dependency, is_atomic};
    use serde_json::json;

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
        assert_eq!(dependency(&registry).as_deref(), Some(line));
        for (field, value) in
            [("name", json!("shootdown")), ("kind", json!("dev")), ("optional", json!(true))]
        {
            let mut other = registry.clone();
            other[field] = value;
            assert_eq!(dependency(&other), None, "{field}");
        }
    }
}
