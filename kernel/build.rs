//! Passes the linker script of the architecture.
fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=link/{arch}.ld");
    if ["riscv64", "x86_64", "aarch64"].contains(&arch.as_str()) {
        println!("cargo::rustc-link-arg=-T{folder}/link/{arch}.ld");
    }
}
