//! The machines that QEMU is asked for.

/// A machine of QEMU, and what is built for it.
#[derive(Debug)]
pub struct Machine {
    /// Name of the architecture.
    pub name: &'static str,
    /// What else it is called.
    pub aliases: &'static [&'static str],
    /// Target that rustc builds for.
    pub target: &'static str,
    /// QEMU's program.
    pub program: &'static str,
    /// Package of Debian that has it.
    pub package: &'static str,
    /// Arguments that make the machine.
    pub arguments: &'static [&'static str],
    /// Most CPUs that boot.
    pub most_cpus: usize,
    /// What does not know more.
    pub limit: &'static str,
    /// Where the kernel looks for its parameters.
    pub parameters: u64,
    /// Where IPIs enter the kernel: a symbol, and a number of bytes after it.
    pub ipi_handler: (&'static str, u64),
    /// Code below this address is the firmware's.
    pub firmware: u64,
}

/// As many CPUs as the kernel has room for where it is not built for more.
pub const USUAL_CPUS: usize = 64;

/// All machines.
pub const MACHINES: [Machine; 3] = [
    Machine {
        name: "riscv64",
        aliases: &["riscv64gc"],
        target: "riscv64gc-unknown-none-elf",
        program: "qemu-system-riscv64",
        package: "qemu-system-misc",
        arguments: &["-machine", "virt,aclint=on"],
        most_cpus: 128,
        limit: "OpenSBI as QEMU 7.2 has it",
        parameters: 0x8f00_0000,
        ipi_handler: ("trap_entry", 0),
        firmware: 0x8020_0000,
    },
    Machine {
        name: "x86_64",
        aliases: &["x86-64", "amd64"],
        target: "x86_64-unknown-none",
        program: "qemu-system-x86_64",
        package: "qemu-system-x86",
        arguments: &["-machine", "pc", "-cpu", "max", "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
        most_cpus: 255,
        limit: "an interrupt controller without x2APIC, which TCG has since QEMU 9.0",
        parameters: 0x0f00_0000,
        ipi_handler: ("trap_stubs", 64 * 16),
        firmware: 0,
    },
    Machine {
        name: "aarch64",
        aliases: &["arm64"],
        target: "aarch64-unknown-none-softfloat",
        program: "qemu-system-aarch64",
        package: "qemu-system-arm",
        arguments: &[
            "-machine",
            "virt,gic-version=3",
            "-cpu",
            "cortex-a72",
            "-semihosting-config",
            "enable=on,target=native",
        ],
        most_cpus: 512,
        limit: "QEMU's machine",
        parameters: 0x4f00_0000,
        ipi_handler: ("vectors", 0x280),
        firmware: 0,
    },
];
