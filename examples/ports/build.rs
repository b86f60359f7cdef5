//! Writes each wrong platform as a module, so that one test program examines them all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[path = "lib.rs"]
#[allow(dead_code, reason = "the test reads what this program does not")]
mod wrong;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("set by cargo");
    let (folder, out) = (Path::new(&folder), env::var("OUT_DIR").expect("set by cargo"));
    let mut list = String::from("const WRONG: &[(&str, &str, Examine)] = &[\n");
    let mut modules = String::new();
    for wrong in wrong::all(folder) {
        let module = wrong.name.replace('-', "_");
        let path = match wrong.platform.split_once('/') {
            None => write(folder, &wrong.platform, &format!("{out}/{module}.rs"), &wrong),
            Some((customer, file)) => {
                // A package beside this one: its platform, and what makes it for the doctor.
                let package = folder.with_file_name(customer);
                write(&package, file, &format!("{out}/{module}/{file}"), &wrong);
                let doctor = Path::new(&out).join(&module).join("doctor.rs");
                fs::copy(package.join("doctor.rs"), &doctor).expect("a place for what is built");
                doctor
            }
        };
        let _ = writeln!(
            modules,
            "#[allow(unused, clippy::all, reason = \"mistakes on purpose\")]\n#[path = {path:?}]\nmod {module};"
        );
        let _ = writeln!(
            list,
            "    ({:?}, {:?}, shootdown_doctor::examine::<{module}::PlatformUnderTest<Sim>>),",
            wrong.name, wrong.check
        );
    }
    fs::write(Path::new(&out).join("wrong.rs"), format!("{modules}{list}];\n"))
        .expect("a place for what is built");
    println!("cargo::rerun-if-changed=wrong");
    for customer in ["hypercalls", "isolated-cpus", "own-lifetimes", "trampoline"] {
        println!("cargo::rerun-if-changed=../{customer}/doctor.rs");
        println!("cargo::rerun-if-changed=../{customer}/src/platform.rs");
    }
    for platform in
        ["toy_kernel.rs", "toy_hypervisor.rs", "toy_guest.rs", "toy_coherence.rs", "toy_iommu.rs", "lib.rs"]
    {
        println!("cargo::rerun-if-changed={platform}");
    }
}

/// Writes a platform of a folder with its mistake, and returns where.
fn write(folder: &Path, file: &str, to: &str, wrong: &wrong::Wrong) -> PathBuf {
    let sound = fs::read_to_string(folder.join(file)).expect("a platform");
    let path = PathBuf::from(to);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a place for what is built");
    fs::write(&path, wrong.applied(&sound)).expect("a place for what is built");
    path
}
