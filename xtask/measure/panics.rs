//! Whether a function can come to a panic.

use crate::built::{Built, COHERENT, PLATFORMS};
use crate::known::{Known, Place};
use crate::program::{Kind, Program, Reference};
use crate::reach::Reached;
use anyhow::{Result, bail, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What some operations come to.
#[derive(Debug)]
pub struct Verdict {
    /// Functions reached.
    pub functions: usize,
    /// References between them and the constants that they use.
    pub references: usize,
    /// Ways to a panic, one for each function that begins one.
    pub ways: Vec<Way>,
}

/// A way to a panic.
#[derive(Debug, PartialEq, Eq)]
pub struct Way {
    /// Names of the functions, the operation first, the panic last.
    pub names: Vec<String>,
    /// Places in the source that the last function before the core library may blame.
    pub places: Vec<String>,
}

/// Looks at what `operations` reach.
///
/// # Errors
/// Code is reached that is not in the library and not the embedder's.
pub fn look(program: &Program, operations: &[usize]) -> Result<Verdict> {
    let reached = Reached::from(program, operations, |node| panics(&program.nodes[node].name));
    for node in reached.nodes().map(|node| &program.nodes[node]) {
        let known = node.kind != Kind::External || embedders(&node.name);
        ensure!(known, "{} is not in the library: what it does is not known", node.name);
    }
    let (mut ways, mut seen) = (Vec::new(), BTreeSet::new());
    for node in reached.nodes().filter(|&node| panics(&program.nodes[node].name)) {
        // One way for each function that refers to this panic, since one that is mended may hide another.
        let refers = |&from: &usize| program.nodes[from].refers.iter().any(|reference| reference.to == node);
        for from in reached.nodes().filter(refers).filter(|&from| !panics(&program.nodes[from].name)) {
            let mut way = reached.way(from);
            way.push(node);
            let ours = way.iter().rposition(|&node| !in_core(&program.nodes[node].name)).unwrap_or(0);
            let names: Vec<String> = way.iter().map(|&node| program.nodes[node].name.clone()).collect();
            if seen.insert((way[ours], node)) {
                ways.push(Way { names, places: places(program, way[ours]) });
            }
        }
    }
    Ok(Verdict { functions: reached.functions(program), references: reached.references(program), ways })
}

/// Whether a function is the embedder's, who keeps it from panicking.
pub fn embedders(name: &str) -> bool {
    name.starts_with("embedder_")
}

/// Whether to come to this function is to panic.
pub fn panics(name: &str) -> bool {
    let in_core = name.starts_with("core::panicking::")
        || (name.starts_with("core::") && (name.ends_with("_fail") || name.ends_with("_failed")));
    in_core || name.ends_with("rust_begin_unwind")
}

fn in_core(name: &str) -> bool {
    let name = name.trim_start_matches('<');
    name.starts_with("core::") && !name.contains("shootdown::")
}

/// The source places (`core::panic::Location`) that a function hands on when it panics.
fn places(program: &Program, function: usize) -> Vec<String> {
    let found: BTreeSet<String> =
        program.nodes[function].refers.iter().filter_map(|reference| place(program, *reference)).collect();
    found.into_iter().collect()
}

/// Reads the constant if it is a place: a file's name by address and length, a line, a column.
fn place(program: &Program, constant: Reference) -> Option<String> {
    let constant = &program.nodes[constant.to];
    let [file] = constant.refers[..] else { return None };
    let word = |at: usize| constant.bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    let length = word(8)? as usize;
    let (line, column) = (word(16)?, word(20)?);
    let name =
        std::str::from_utf8(program.nodes[file.to].bytes.get(file.offset as usize..)?.get(..length)?).ok()?;
    (constant.bytes.len() == 24 && name.ends_with(".rs")).then(|| format!("{name}:{line}:{column}"))
}

/// Looks at every operation of every library, and prints what was found.
///
/// # Errors
/// There is a way to a panic at a place that `list` does not name, or one that it names is found no more.
pub fn report(built: &[Built], root: &Path, list: &str) -> Result<()> {
    let known = Known::parse(list)?;
    let (mut found, mut unargued) = (BTreeMap::<Place, usize>::new(), BTreeMap::new());
    for one in built {
        let mut operations = Vec::new();
        for platform in PLATFORMS.into_iter().chain(COHERENT) {
            operations.extend(one.operations(platform)?.into_values());
        }
        let verdict = look(&one.program, &operations)?;
        let Verdict { functions, references, ways } = &verdict;
        println!(
            "  {:16} {functions} functions, {references} references, {} functions that may panic",
            one.name,
            ways.len()
        );
        for way in ways {
            let places: Vec<Place> = way.places.iter().map(|noted| Place::of(root, noted)).collect();
            let open = places.iter().filter(|place| known.why(place).is_none());
            let open: Vec<String> = open.map(Place::to_string).collect();
            if places.is_empty() || !open.is_empty() {
                // Of the many ways to one place the first is enough.
                let about = if open.is_empty() { way.names.concat() } else { open.join("; ") };
                unargued.entry(about).or_insert_with(|| {
                    format!("{}: {}\n    at {}", one.name, way.names.join(" -> "), way.places.join(", "))
                });
            }
            places.into_iter().for_each(|place| *found.entry(place).or_default() += 1);
        }
        let control = look(&one.program, &[one.control("panics")?])?;
        ensure!(!control.ways.is_empty(), "{}: a function that panics is not seen to", one.name);
    }
    for (place, times) in &found {
        println!("  {times:>4} x {place}\n         {}", known.why(place).unwrap_or("NOT ARGUED"));
    }
    let gone = known.places().filter(|place| !found.contains_key(place));
    let mut failures: Vec<String> = unargued.into_values().collect();
    failures.extend(gone.map(|place| format!("listed in panics.txt, and not found: {place}")));
    if failures.is_empty() { Ok(()) } else { bail!("{}", failures.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Node;
    use object::Architecture;

    /// An operation that calls a helper that indexes a slice, at a place with a name.
    fn program() -> Program {
        let mut location = vec![0_u8; 24];
        (location[8], location[16], location[20]) = (4, 7, 3);
        let code = |name: &str| Node::new(name, Kind::Code, vec![0; 4]);
        let mut nodes = vec![
            code("asids.flush"),
            code("shootdown::mask::word"),
            code("core::panicking::panic_bounds_check"),
            code("core::panicking::panic_fmt"),
            Node::new(".rodata", Kind::Data, location),
            Node::new(".rodata.str", Kind::Data, b"x\0a.rs\0".to_vec()),
            Node::new("embedder_cpu", Kind::External, Vec::new()),
            code("asids.leave"),
        ];
        let to = |to| Reference { to, offset: 0 };
        nodes[0].refers = vec![to(1), to(6)];
        nodes[1].refers = vec![to(4), to(2)];
        nodes[2].refers = vec![to(3)];
        nodes[4].refers = vec![Reference { to: 5, offset: 2 }];
        nodes[7].refers = vec![to(6)];
        Program { architecture: Architecture::Riscv64, nodes }
    }

    #[test]
    fn a_way_to_a_panic_is_found_with_its_place() {
        let verdict = look(&program(), &[0]).expect("a verdict");
        let names = ["asids.flush", "shootdown::mask::word", "core::panicking::panic_bounds_check"];
        let expected = Way { names: names.map(str::to_owned).into(), places: vec!["a.rs:7:3".into()] };
        assert_eq!(verdict.ways, [expected]);
        assert_eq!(verdict.functions, 3, "what panics is not followed further");
    }

    #[test]
    fn an_operation_that_reaches_no_panic_has_no_way() {
        assert!(look(&program(), &[7]).expect("a verdict").ways.is_empty());
    }

    #[test]
    fn code_that_is_not_there_is_no_proof() {
        let mut program = program();
        program.nodes[6].name = "memcpy".into();
        let error = look(&program, &[7]).expect_err("unknown code");
        assert!(error.to_string().contains("memcpy is not in the library"), "{error}");
    }

    #[test]
    fn failures_of_the_core_library_are_panics() {
        assert!(panics("core::slice::index::slice_index_fail") && panics("core::option::expect_failed"));
        assert!(panics("__rustc::rust_begin_unwind") && !panics("shootdown::tags::may_fail"));
        assert!(embedders("embedder_send_ipi") && !embedders("memcpy"));
    }
}
