//! Runs the workload under callgrind and reads what it says.
//!
//! Not gungraun 0.20: it has limits for a benchmark as a whole, takes nothing that runs inside away from it (the
//! target's handler, in a flush), does not ask that each call costs the same, and wants a runner of its own version
//! installed and Rust 1.88.

use super::operations::{EXCEPTIONS, OPERATIONS, Operation, WATCHED, Watched};
use super::table::{Row, Table, Watch};
use super::workload::REPEATS;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

/// Measures all operations: runs `program` with `arguments`, which must call [`super::run_workload`], under callgrind.
///
/// # Errors
/// Callgrind cannot be run or says something unexpected, or an operation did not cost the same each time.
pub fn measure(program: &Path, arguments: &[&str]) -> Result<Table> {
    let folder = tempfile::tempdir().context("no folder for callgrind's output")?;
    let output = folder.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args([
        "--tool=callgrind",
        "--quiet",
        "--demangle=no",
        "--compress-strings=no",
        "--compress-pos=no",
    ]);
    command.arg(format!("--callgrind-out-file={}", output.display())).arg(program).args(arguments);
    let run = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("valgrind is not installed: `apt-get install valgrind` brings it")
        }
        run => run.context("valgrind does not start")?,
    };
    let complaint = String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.success(), "valgrind ended with {}: {complaint}", run.status);
    let text = std::fs::read_to_string(&output).context("callgrind wrote nothing")?;
    let costs = Costs::read(&text)?;
    let rows = OPERATIONS.iter().map(|operation| row(operation, &costs)).collect::<Result<_>>()?;
    let watched = WATCHED.iter().map(|watched| watch(watched, &costs)).collect::<Result<_>>()?;
    Ok(Table { rows, watched })
}

fn watch(watched: &Watched, costs: &Costs) -> Result<Watch> {
    let plain = OPERATIONS.iter().find(|op| op.function == watched.plain).context("counted without")?;
    Ok(Watch {
        operation: plain.title,
        without: own(plain.function, plain.without, costs)?,
        with: own(watched.function, watched.without, costs)?,
        limited: watched.limited,
    })
}

/// What a function costs, without what runs inside and is not part of it.
fn own(function: &str, without: Option<&str>, costs: &Costs) -> Result<u64> {
    Ok(costs.per_call(function)? - without.map_or(Ok(0), |inner| costs.per_call(inner))?)
}

fn row(operation: &Operation, costs: &Costs) -> Result<Row> {
    let all = costs.per_call(operation.function)?;
    let apart = operation.without.map_or(Ok(0), |inner| costs.per_call(inner))?;
    let exception = EXCEPTIONS.iter().find(|exception| exception.function == operation.function);
    Ok(Row {
        operation: operation.title,
        instructions: all - apart,
        apart,
        aim: operation.aim,
        limit: exception.map(|exception| exception.limit),
        reason: exception.map(|exception| exception.reason),
    })
}

/// Calls of each function and their cost, callees included.
struct Costs(BTreeMap<String, (u64, u64)>);

impl Costs {
    /// Reads callgrind's profile format: `cfn=` names who is called, `calls=` how often, and the line after that what
    /// all of these calls cost together.
    fn read(text: &str) -> Result<Self> {
        let mut costs = BTreeMap::<String, (u64, u64)>::new();
        let (mut callee, mut lines) = (None, text.lines());
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("cfn=") {
                callee = Some(name);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls = first_number(calls).with_context(|| format!("a call without a count: {line}"))?;
                let cost = lines.next().and_then(last_number).context("calls without a cost")?;
                let name = callee.take().context("calls of nobody")?;
                let sum = costs.entry(name.to_owned()).or_default();
                *sum = (sum.0 + calls, sum.1 + cost);
            }
        }
        Ok(Self(costs))
    }

    /// What one call of `function` costs, callees included.
    fn per_call(&self, function: &str) -> Result<u64> {
        // Mangled names hold each identifier with its length before it.
        let mangled = format!("{}{function}", function.len());
        let mut calls = 0;
        let mut cost = 0;
        for (_, sum) in self.0.iter().filter(|(name, _)| name.contains(&mangled)) {
            calls += sum.0;
            cost += sum.1;
        }
        ensure!(calls == REPEATS, "{function} was called {calls} times, not {REPEATS}");
        ensure!(cost % calls == 0, "{function} does not cost the same each time: {cost} for {calls} calls");
        Ok(cost / calls)
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

fn last_number(text: &str) -> Option<u64> {
    text.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(cost: u64) -> String {
        format!(
            "events: Ir\nfn=main\n12 40\ncfn=_RN3abc4push\ncalls=60 7\n13 {cost}\ncfn=_RN3abc8push_all\ncalls=1 7\n\
             14 5\nfn=other\ncfn=_RN3abc4push\ncalls=4 7\n15 28\n"
        )
    }

    #[test]
    fn calls_from_all_places_add_up_and_longer_names_stay_apart() {
        let costs = Costs::read(&profile(420)).expect("a profile");
        assert_eq!(costs.per_call("push").expect("64 equal calls"), 7);
        assert!(costs.per_call("push_all").is_err(), "called once");
    }

    #[test]
    fn calls_of_unequal_cost_are_refused() {
        let costs = Costs::read(&profile(421)).expect("a profile");
        let refusal = costs.per_call("push").expect_err("421 + 28 is not 64 times anything");
        assert!(refusal.to_string().contains("does not cost the same"), "{refusal}");
    }
}
