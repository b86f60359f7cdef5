//! Instructions of the engine's operations, counted by a plugin of QEMU.

use serde_json::{Value, json};
use std::io::{self, Write};
use std::path::Path;

use super::machine::Machine;
use super::symbols::Symbols;
use crate::failure::Failure;

/// What the kernel's marks stand for, in order; the IPI handler comes last.
const OPERATIONS: [(usize, &str); 11] = [
    (0, "local flush"),
    (1, "send to one"),
    (2, "wait for one"),
    (3, "send to three"),
    (4, "wait for three"),
    (5, "switch"),
    (6, "lazy round trip"),
    (7, "borrow"),
    (8, "flush, one"),
    (9, "flush, three"),
    (16, "handler"),
];

/// The engine's function that waits for a CPU.
const WAIT: &str = "::wait_for_one";

/// Instructions of Linux 6.1 on amd64, counted the same way: flush of a page with one target, and its handler.
const LINUX: (u64, u64) = (402, 416);

/// Instructions of an operation.
#[derive(Debug)]
pub struct Counted {
    /// Name of the architecture.
    arch: &'static str,
    /// The operation.
    operation: &'static str,
    /// How often it was counted.
    times: u64,
    /// The fewest, of the kernel.
    least: u64,
    /// The median, of the kernel.
    median: u64,
    /// The median, of the firmware below it.
    firmware: u64,
}

/// What QEMU is told about the plugin.
pub fn argument(machine: &Machine, plugin: &Path, image: &Path, report: &Path) -> Result<String, Failure> {
    let symbols = Symbols::of(image);
    let (symbol, bytes) = machine.ipi_handler;
    let (Some(trap), Some((begin, end))) = (symbols.address(symbol), symbols.range(WAIT)) else {
        let what = format!("the kernel has no symbol {symbol}, or none that ends with {WAIT}");
        return Err(Failure::bad_input(what, "build it anew"));
    };
    let (plugin, report, firmware) = (plugin.display(), report.display(), machine.firmware);
    let places = format!("trap={:#x},firmware={firmware:#x},wait={begin:#x}:{end:#x}", trap + bytes);
    Ok(format!("file={plugin},{places},out={report}"))
}

/// Reads what the plugin has counted.
///
/// # Errors
/// There is nothing.
pub fn read(machine: &'static Machine, report: &Path) -> Result<Vec<Counted>, Failure> {
    let text = std::fs::read_to_string(report).unwrap_or_default();
    let rows: Vec<Counted> = text.lines().filter_map(|line| counted(machine.name, line)).collect();
    if rows.is_empty() {
        let remedy = "QEMU must be built with plugins, version 1 of their interface, as Debian's is";
        return Err(Failure::bad_input(format!("{} counted nothing", machine.program), remedy));
    }
    Ok(rows)
}

fn counted(arch: &'static str, line: &str) -> Option<Counted> {
    let record: Value = serde_json::from_str(line).ok()?;
    let number = |name: &str| record[name].as_u64();
    let kind = number("operation")?;
    let (_, operation) = OPERATIONS.into_iter().find(|(number, _)| *number as u64 == kind)?;
    let (times, least) = (number("times")?, number("least")?);
    Some(Counted { arch, operation, times, least, median: number("median")?, firmware: number("firmware")? })
}

impl Counted {
    /// The row as one line.
    pub fn json(&self) -> String {
        json!({
            "arch": self.arch, "operation": self.operation, "times": self.times, "least": self.least,
            "median": self.median, "firmware": self.firmware,
        })
        .to_string()
    }
}

/// Writes the table.
///
/// # Errors
/// `out` cannot be written.
pub fn table(out: &mut impl Write, rows: &[Counted]) -> io::Result<()> {
    writeln!(
        out,
        "{:8} {:16} {:>6} {:>6} {:>8} {:>6}",
        "arch", "operation", "least", "median", "firmware", "times"
    )?;
    for row in rows {
        let Counted { arch, operation, times, least, median, firmware } = row;
        writeln!(out, "{arch:8} {operation:16} {least:>6} {median:>6} {firmware:>8} {times:>6}")?;
    }
    let (initiator, handler) = LINUX;
    writeln!(
        out,
        "Linux 6.1 on amd64, counted the same way: {initiator} to flush a page with one target, {handler} in its handler"
    )
}

#[cfg(test)]
mod tests {
    use super::{counted, table};

    #[test]
    fn a_line_of_the_plugin_becomes_a_row() {
        let line = r#"{"operation":16,"times":300,"least":90,"median":100,"firmware":7}"#;
        let row = counted("x86_64", line).expect("a row");
        assert_eq!((row.operation, row.median, row.firmware), ("handler", 100, 7));
        let mut out = Vec::new();
        table(&mut out, &[row]).expect("written");
        assert!(
            String::from_utf8(out).expect("text").contains("handler              90    100        7    300")
        );
        assert!(counted("x86_64", r#"{"operation":9}"#).is_none(), "nobody marks that");
    }
}
