//! The built-in guests are what their sources say: where the target `riscv64gc-unknown-none-elf` is installed, they are
//! assembled anew and compared.
//!
//! `SHOOTDOWN_GUESTS=write cargo test -p shootdown-emulator --test assemble` writes the files anew.

use object::LittleEndian;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "riscv64gc-unknown-none-elf";
/// Guests with the files that follow the prelude.
const GUESTS: &[(&str, &[&str])] = &[
    ("hello", &["hello"]),
    ("counter", &["counter"]),
    ("spinlock", &["spinlock"]),
    ("remap", &["remap", "window.inc"]),
    ("stale", &["stale", "window.inc"]),
    ("migrate", &["migrate"]),
    ("user", &["user"]),
    ("ipi", &["ipi"]),
    ("fault", &["fault"]),
    ("loop", &["loop"]),
    ("liar", &["liar"]),
];

fn guests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/guests")
}

fn is_installed() -> bool {
    let rustc = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output();
    rustc.is_ok_and(|answer| {
        let folder = String::from_utf8_lossy(&answer.stdout);
        answer.status.success() && Path::new(folder.trim()).is_dir()
    })
}

/// Assembles a guest: rustc brings an assembler and a linker for every target it knows.
fn assemble(name: &str, parts: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder for what is assembled");
    let (source, file) = (folder.path().join("guest.rs"), folder.path().join(name));
    let parts = std::iter::once(&"prelude").chain(parts);
    let includes: String =
        { parts }.map(|part| format!("include_str!({:?}), ", guests().join(format!("{part}.S")))).collect();
    let text = format!(
        "#![no_std]\n#![no_main]\ncore::arch::global_asm!({includes}options(raw));\n\
         #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! {{ loop {{}} }}\n"
    );
    std::fs::write(&source, text).expect("the folder is ours");
    let script = format!("link-arg=-T{}", guests().join("guest.ld").display());
    let answer = Command::new("rustc")
        .args(["--edition", "2024", "--target", TARGET, "-Copt-level=s", "-Cpanic=abort", "-Cstrip=symbols"])
        .args(["-Clink-arg=-n", "-Clinker=rust-lld", "-C", &script, "-o"])
        .arg(&file)
        .arg(&source)
        .output()
        .expect("rustc runs");
    assert!(answer.status.success(), "{name}: {}", String::from_utf8_lossy(&answer.stderr));
    std::fs::read(&file).expect("it was just written")
}

/// What is loaded: entry point, and address, size and bytes of each segment. The rest of a file depends on the linker.
fn loaded(file: &[u8]) -> (u64, Vec<(u64, u64, Vec<u8>)>) {
    let header = FileHeader64::<LittleEndian>::parse(file).expect("an ELF file");
    let segments = header.program_headers(LittleEndian, file).expect("program headers");
    let load = segments.iter().filter(|segment| segment.p_type(LittleEndian) == PT_LOAD).map(|segment| {
        let data = segment.data(LittleEndian, file).expect("data").to_vec();
        (segment.p_paddr(LittleEndian), segment.p_memsz(LittleEndian), data)
    });
    (header.e_entry(LittleEndian), load.collect())
}

#[test]
fn committed_guests_are_what_their_sources_say() {
    let writes = std::env::var("SHOOTDOWN_GUESTS").is_ok_and(|how| how == "write");
    if !is_installed() {
        assert!(!writes, "the target is missing: rustup target add {TARGET}");
        println!("{TARGET} is not installed: nothing is compared");
        return;
    }
    for (name, parts) in GUESTS {
        let made = assemble(name, parts);
        let path = guests().join(format!("elf/{name}.elf"));
        if writes {
            std::fs::write(&path, &made).expect("the folder is there");
        }
        let committed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(
            loaded(&made),
            loaded(&committed),
            "{name} is not what its source says: SHOOTDOWN_GUESTS=write cargo test -p shootdown-emulator --test assemble"
        );
    }
}
