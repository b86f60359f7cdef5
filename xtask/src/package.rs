//! The packages that are published: in which shape, and whether they can be.

use anyhow::{Context, Result, ensure};
use pulldown_cmark::{Event, Parser, Tag};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::remove;
use crate::process::{self, cargo, read};

/// The engine's package, which depends on nothing.
const ENGINE: &str = "shootdown";
/// The package with a feature for each crate of others.
pub const INTEGRATIONS: &str = "shootdown-integrations";
const LICENCE: &str = "MIT OR Apache-2.0";
/// A clone, as a release is made from one.
const CLONE: &str = "target/release-clone";
/// Where a commit is packed and built. Cargo keeps what it unpacks by this path, the package's name and its version,
/// for good: at one path for all commits it would build an older commit's engine.
const TARGET: &str = "target/release-target";

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

/// The features of [`INTEGRATIONS`], as its manifest has them.
///
/// # Errors
/// It has none, or cargo does not say.
pub fn integration_features(root: &Path) -> Result<Vec<String>> {
    let packages = published(root)?;
    let package = packages.iter().find(|package| package["name"] == INTEGRATIONS);
    let features = package.and_then(|package| package["features"].as_object());
    let names: Vec<String> = features.into_iter().flat_map(|features| features.keys().cloned()).collect();
    ensure!(!names.is_empty(), "{INTEGRATIONS} has no features");
    Ok(names)
}

/// Looks at what the manifests of published packages say; returns how many there are.
///
/// # Errors
/// One says too little, or depends on what is not published.
pub fn shape(root: &Path) -> Result<usize> {
    let packages = published(root)?;
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut wrong = Vec::new();
    for package in &packages {
        let name = package["name"].as_str().unwrap_or_default();
        wrong.extend(lacks(package, &names).into_iter().map(|what| format!("{name}: {what}")));
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(packages.len())
}

/// The faults of a manifest.
fn lacks(package: &Value, published: &[&str]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut check = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    let some = |field: &str, most: usize| {
        package[field].as_array().is_some_and(|values| (1..=most).contains(&values.len()))
    };
    check(package["description"].as_str().is_some_and(|text| text.len() > 20), "no description");
    check(package["license"] == LICENCE, "another licence");
    check(some("keywords", 5), "one to five keywords are wanted");
    check(some("categories", 5), "one to five categories are wanted");
    check(package["metadata"]["docs"]["rs"]["targets"].is_array(), "no targets for docs.rs");
    let folder = package["manifest_path"].as_str().map(PathBuf::from).unwrap_or_default();
    let has = |name: &str| folder.with_file_name(name).exists();
    check(package["readme"].as_str().is_some_and(has), "no readme");
    let readme =
        package["readme"].as_str().and_then(|name| fs::read_to_string(folder.with_file_name(name)).ok());
    let relative = readme.as_deref().map(relative_links).unwrap_or_default();
    check(
        relative.is_empty(),
        &format!("its readme links to {}, which a package does not hold", relative.join(", ")),
    );
    check(
        has("LICENSE-MIT") && has("LICENSE-APACHE"),
        "the texts of the licences are not beside the manifest",
    );
    for dependency in package["dependencies"].as_array().into_iter().flatten() {
        let (name, kind) = (dependency["name"].as_str().unwrap_or_default(), &dependency["kind"]);
        if kind != "dev" && package["name"] == ENGINE {
            wrong.push(format!("depends on {name}, and the engine depends on nothing"));
        }
        if !dependency["path"].is_string() {
            continue;
        }
        // A package keeps what its tests need only where that has a version; the rest it may take from its neighbours.
        let kept = kind != "dev" || dependency["req"] != "*";
        if kept && !published.contains(&name) {
            wrong.push(format!("depends on {name}, which is not published"));
        }
        if kind != "dev" && dependency["req"] == "*" {
            wrong.push(format!("depends on {name} without a version"));
        }
    }
    wrong
}

/// The links of a readme that lead into a repository: where a package is shown they lead nowhere.
fn relative_links(text: &str) -> Vec<String> {
    let link = |event| match event {
        Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => Some(dest_url.to_string()),
        _ => None,
    };
    let leads_away = |link: &String| !link.starts_with("https://") && !link.starts_with('#');
    Parser::new(text).filter_map(link).filter(leads_away).collect()
}

/// Clones what is committed, packs every published package there, builds each from its packed sources and runs the
/// tests that it holds; returns how many there are.
///
/// # Errors
/// A package cannot be packed, does not build from what was packed, or fails its tests there.
pub fn package(root: &Path) -> Result<usize> {
    let clone = root.join(CLONE);
    remove(&clone)?;
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["clone", "--quiet", "--no-hardlinks", "."]).arg(&clone);
    process::run(&mut git)?;
    let changed = read(Command::new("git").arg("-C").arg(root).args([
        "status",
        "--porcelain",
        "--untracked-files=no",
    ]))?;
    if !changed.is_empty() {
        println!("what is not committed is not packed:\n{changed}");
    }
    let packages = published(&clone)?;
    let names = packages.iter().filter_map(|package| package["name"].as_str());
    let names: String = names.map(|name| format!(" -p {name}")).collect();
    let commit = read(Command::new("git").arg("-C").arg(&clone).args(["rev-parse", "HEAD"]))?;
    let target = root.join(TARGET).join(commit.trim());
    let mut command = cargo(&clone, &format!("package --quiet --locked{names}"));
    process::run(command.env("CARGO_TARGET_DIR", &target))?;
    test(&target.join("package"), &packages)?;
    remove(&clone)?;
    remove(&target)?;
    Ok(packages.len())
}

/// The explorer's tests and the engine's take minutes without optimisation, and nobody debugs what is built here.
const PROFILE: &str = "\n[profile.dev]\ndebug = false\n
[profile.dev.package]\nshootdown.opt-level = 1\nshootdown-explore.opt-level = 1\ncorosensei.opt-level = 1\nhashbrown.opt-level = 1\n";

/// Random programs of each of the explorer's tests that make some: that the tests run from a package is what is looked
/// at here, and step tests has all programs.
const PROGRAMS: &str = "200";

/// Runs the tests of the packages that cargo has unpacked in `folder`, against each other and nothing of the checkout.
fn test(folder: &Path, packages: &[Value]) -> Result<()> {
    let text = |package: &Value, key: &str| package[key].as_str().unwrap_or_default().to_owned();
    let names: Vec<(String, String)> = packages
        .iter()
        .map(|package| {
            let name = text(package, "name");
            (format!("{name}-{}", text(package, "version")), name)
        })
        .collect();
    let members: Vec<&str> = names.iter().map(|(folder, _)| folder.as_str()).collect();
    let patches: String =
        names.iter().map(|(folder, name)| format!("{name} = {{ path = {folder:?} }}\n")).collect();
    let workspace = format!(
        "[workspace]\nresolver = \"3\"\nmembers = {members:?}\n\n[patch.crates-io]\n{patches}{PROFILE}"
    );
    fs::write(folder.join("Cargo.toml"), workspace).context("cannot write a workspace of the packages")?;
    for (member, _) in &names {
        // The versions that it was packed with are those of the workspace here.
        let _ = fs::remove_file(folder.join(member).join("Cargo.lock"));
    }
    let target = folder.join("target");
    // The tests of the integrations are of all features, which a package does not ask itself for.
    let most = format!("test --workspace --exclude {INTEGRATIONS} --quiet");
    let integrations = format!("test --quiet -p {INTEGRATIONS} --all-features");
    for arguments in [most, integrations] {
        let mut command = cargo(folder, &arguments);
        process::run(command.env("CARGO_TARGET_DIR", &target).env("COUNT", PROGRAMS))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{lacks, relative_links};
    use serde_json::json;

    #[test]
    fn links_of_a_readme_that_lead_into_the_repository_are_found() {
        let text = "[a](https://docs.rs/a) [b](#b) [c](docs/c.md) ![d](../d.svg) [e]\n\n[e]: E.md\n";
        assert_eq!(relative_links(text), ["docs/c.md", "../d.svg", "E.md"]);
        assert!(!relative_links(include_str!("../../README.md")).is_empty(), "the repository's own has some");
    }

    #[test]
    fn what_a_manifest_lacks_is_named() {
        let bare =
            json!({"name": "shootdown", "license": "MIT", "dependencies": [{"name": "log", "kind": null}]});
        let wrong = lacks(&bare, &["shootdown"]);
        for what in
            ["no description", "another licence", "keywords", "categories", "docs.rs", "no readme", "texts"]
        {
            assert!(wrong.iter().any(|line| line.contains(what)), "{what}: {wrong:?}");
        }
        assert!(wrong.contains(&"depends on log, and the engine depends on nothing".to_owned()), "{wrong:?}");
    }

    #[test]
    fn a_package_depends_on_published_ones_by_version() {
        let dependency =
            |name: &str, req: &str, kind| json!({"name": name, "req": req, "kind": kind, "path": "x"});
        let package = json!({"name": "a", "dependencies": [
            dependency("b", "^0.1", json!(null)), dependency("c", "*", json!(null)), dependency("rig", "*", json!("dev")),
        ]});
        let wrong = lacks(&package, &["a", "b"]);
        let about = |name: &str| wrong.iter().filter(|line| line.contains(&format!("on {name}"))).count();
        assert_eq!((about("b"), about("c"), about("rig")), (0, 2, 0), "{wrong:?}");
    }
}
