//! Writes each wrong platform as a module, so that one test program examines them all.

use std::fmt::Write as _;
use std::path::Path;
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
        let sound = fs::read_to_string(folder.join(&wrong.platform)).expect("a platform");
        let path = Path::new(&out).join(format!("{module}.rs"));
        fs::write(&path, wrong.applied(&sound)).expect("a place for what is built");
        let _ = writeln!(modules, "#[path = {path:?}]\nmod {module};");
        let _ = writeln!(
            list,
            "    ({:?}, {:?}, shootdown_doctor::examine::<{module}::PlatformUnderTest<Sim>>),",
            wrong.name, wrong.check
        );
    }
    fs::write(Path::new(&out).join("wrong.rs"), format!("{modules}{list}];\n"))
        .expect("a place for what is built");
    println!("cargo::rerun-if-changed=wrong");
    for platform in ["toy_kernel.rs", "toy_hypervisor.rs", "toy_guest.rs", "toy_coherence.rs", "lib.rs"] {
        println!("cargo::rerun-if-changed={platform}");
    }
}
