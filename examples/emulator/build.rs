//! Assembles and links the built-in guests: rustc brings an assembler and a linker for every target it knows. Has the
//! hosted platform's source compiled anew where it changes.

#[path = "../../checks/source.rs"]
mod source;

use std::path::Path;
use std::process::{Command, exit};
use std::{env, fs};

const TARGET: &str = "riscv64gc-unknown-none-elf";

fn main() {
    // The library of this package.
    source::follow("../../crates/host/src");
    println!("cargo::rerun-if-changed=guests");
    let out = env::var("OUT_DIR").expect("set by cargo");
    for entry in fs::read_dir("guests").expect("the folder of guests") {
        let name = entry.expect("an entry").file_name();
        let name = name.to_str().expect("a plain name");
        // What others include is no guest.
        if let Some(guest) = name.strip_suffix(".S").filter(|guest| !guest.ends_with(".inc")) {
            assemble(guest, Path::new(&out));
        }
    }
}

fn assemble(guest: &str, out: &Path) {
    let source = out.join(format!("{guest}.rs"));
    let text = format!(
        "#![no_std]\n#![no_main]\n\
         core::arch::global_asm!(\".include \\\"prelude.inc.S\\\"\", \".include \\\"{guest}.S\\\"\", options(raw));\n\
         #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! {{ loop {{}} }}\n"
    );
    fs::write(&source, text).expect("a place for what is built");
    let rustc = env::var("RUSTC").expect("set by cargo");
    let answer = Command::new(rustc)
        // Where the sources that are included lie.
        .current_dir("guests")
        .args(["--edition", "2024", "--target", TARGET, "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["-Clinker=rust-lld", "-Clink-arg=-n", "-Clink-arg=-Tguest.ld", "-o"])
        .arg(out.join(format!("{guest}.elf")))
        .arg(&source)
        .output()
        .expect("rustc runs");
    if !answer.status.success() {
        let errors = String::from_utf8_lossy(&answer.stderr);
        if errors.contains("E0463") {
            eprintln!(
                "the guests are RISC-V programs: `rustup target add {TARGET}` installs what builds them\n"
            );
        }
        eprint!("{guest}.S does not assemble: {errors}");
        exit(1);
    }
}
