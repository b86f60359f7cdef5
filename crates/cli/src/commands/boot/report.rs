//! What a kernel reports, and how it is shown.

use serde_json::{Map, Value, json};
use std::io::{self, Write};

use super::plan::Plan;

/// How a scenario ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was found.
    Clean,
    /// Something was found.
    Finding,
    /// The kernel panicked.
    Panic,
    /// The kernel stopped reporting.
    Hang,
    /// The machine ended before.
    NotRun,
}

impl Verdict {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Finding => "finding",
            Self::Panic => "panic",
            Self::Hang => "hang",
            Self::NotRun => "not run",
        }
    }
}

/// A scenario on a machine, and how it ended.
#[derive(Clone, Debug)]
pub struct Row {
    /// Name of the architecture.
    pub arch: &'static str,
    /// Name of the scenario.
    pub scenario: String,
    /// How it ended.
    pub verdict: Verdict,
    /// What the kernel counted.
    pub counts: Map<String, Value>,
    /// What it found, or said at the end.
    pub findings: Vec<String>,
}

impl Row {
    /// Begins a row.
    pub fn new(arch: &'static str, scenario: &str, verdict: Verdict) -> Self {
        Self { arch, scenario: scenario.to_owned(), verdict, counts: Map::new(), findings: Vec::new() }
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.verdict == Verdict::Clean
    }

    /// A count, 0 where there is none.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// The row as one line.
    pub fn json(&self, plan: &Plan) -> String {
        let mut record = json!({
            "arch": self.arch,
            "cpus": plan.cpus,
            "scenario": self.scenario,
            "host_threads": if plan.one_thread { "one" } else { "each" },
            "broken": plan.broken,
            "verdict": self.verdict.name(),
            "findings": self.findings,
        });
        if let Some(fields) = record.as_object_mut() {
            fields.extend(self.counts.clone());
        }
        record.to_string()
    }
}

/// Tells a finding in words.
pub fn tell(finding: &Value) -> String {
    let what = finding["what"].as_str().unwrap_or("finding");
    let number = |name: &str| finding[name].as_u64().unwrap_or(0);
    let text = |name: &str| finding[name].as_str().unwrap_or("?").to_owned();
    let cpu = number("cpu");
    match what {
        "stale read" => {
            let owner = match number("owner") {
                0 => "nobody".to_owned(),
                owner => format!("space {owner}"),
            };
            format!(
                "stale read: CPU {cpu} read page {} of space {} and met frame {}, which is {owner}'s since epoch {} \
                 (expected: its own, of epoch {} or later)",
                text("page"),
                number("reader"),
                number("frame"),
                number("epoch"),
                number("expected_epoch")
            )
        }
        "stale write" => {
            format!(
                "stale write: CPU {cpu} wrote to frame {} for space {} after it was given back",
                number("frame"),
                number("owner")
            )
        }
        "frames lost" => format!("{} frames were not given back", number("count")),
        "missing flush" => format!("{what}: {}", text("text")),
        _ => format!("{what}: CPU {cpu}, page {}", text("page")),
    }
}

/// Columns of the table: heading, and name of the count.
const COLUMNS: [(&str, &str); 8] = [
    ("cycles", "cycles"),
    ("flushes", "flushes"),
    ("IPIs", "ipis"),
    ("skipped", "skipped"),
    ("evicted", "evictions"),
    ("reads", "reads"),
    ("stale", "stale"),
    ("ms", "ms"),
];

/// Writes the table and a sentence about it.
///
/// # Errors
/// `out` cannot be written.
pub fn table(out: &mut impl Write, rows: &[Row], plan: &Plan) -> io::Result<()> {
    write!(out, "{:8} {:16} {:8}", "arch", "scenario", "verdict")?;
    for (heading, _) in COLUMNS {
        write!(out, " {heading:>9}")?;
    }
    writeln!(out)?;
    for row in rows {
        write!(out, "{:8} {:16} {:8}", row.arch, row.scenario, row.verdict.name())?;
        for (_, name) in COLUMNS {
            write!(out, " {:>9}", row.count(name))?;
        }
        writeln!(out)?;
        for finding in &row.findings {
            writeln!(out, "  {finding}")?;
        }
    }
    writeln!(out, "{}", closing(rows, plan))
}

fn closing(rows: &[Row], plan: &Plan) -> String {
    let sum = |name: &str| rows.iter().map(|row| row.count(name)).sum::<u64>();
    let bad = rows.iter().filter(|row| !row.is_clean()).count();
    let broken = plan.broken.as_ref().map(|rule| format!(", without {rule}")).unwrap_or_default();
    format!(
        "{} of {} scenarios clean on {} CPUs{broken}: {} cycles, {} flushes, {} IPIs, {} reads, {} stale",
        rows.len() - bad,
        rows.len(),
        plan.cpus,
        sum("cycles"),
        sum("flushes"),
        sum("ipis"),
        sum("reads"),
        sum("stale"),
    )
}

#[cfg(test)]
mod tests {
    use super::{COLUMNS, Row, Verdict, table, tell};
    use crate::commands::boot::plan::Plan;
    use crate::testing::boot_args;
    use serde_json::json;

    #[test]
    fn the_table_has_what_the_kernel_counted() {
        let mut row = Row::new("riscv64", "remap", Verdict::Clean);
        for (column, (_, name)) in (101_u64..).zip(COLUMNS) {
            row.counts.insert(name.to_owned(), column.into());
        }
        let reported = json!({"event": "scenario", "cycles": 1, "flushes": 1, "ipis": 1, "skipped": 1, "evictions": 1,
            "reads": 1, "stale": 1, "ms": 1});
        assert!(
            COLUMNS.iter().all(|(_, name)| reported[name].is_u64()),
            "the kernel counts nothing by another name"
        );
        let mut out = Vec::new();
        table(&mut out, &[row], &Plan::of(&boot_args("--arch riscv64")).expect("a plan")).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert!((101..=108).all(|count| text.contains(&format!(" {count}"))), "{text}");
    }

    #[test]
    fn a_stale_read_names_page_frame_owner_epoch_and_cpu() {
        let finding = json!({"what": "stale read", "cpu": 1, "page": "0x1000006000", "frame": 4083, "reader": 1,
            "owner": 2, "owner_page": 9, "epoch": 4128, "expected_epoch": 4121});
        let told = tell(&finding);
        for part in ["CPU 1", "page 0x1000006000", "frame 4083", "space 2's", "epoch 4128", "space 1"] {
            assert!(told.contains(part), "{part}: {told}");
        }
    }
}
