//! The front door of the crate: what stands at the root, what the crate page says, and what the README shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const ROOT: &str = include_str!("../src/lib.rs");
const README: &str = include_str!("../../../README.md");

/// Names that a root exports with all features, modules included. What only checkers compile counts for nothing.
fn exports(root: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut checkers_alone = false;
    for line in root.lines() {
        if let Some(list) = line.strip_prefix("pub use ").filter(|_| !checkers_alone) {
            let list = list.rsplit("::").next().expect("a path");
            names.extend(list.split(|c: char| !c.is_alphanumeric()).filter(|name| !name.is_empty()));
        }
        let item = ["pub mod ", "pub const ", "pub fn "].iter().find_map(|kind| line.strip_prefix(kind));
        if let Some(item) = item.filter(|_| !checkers_alone) {
            names.extend(item.split(|c: char| !c.is_alphanumeric() && c != '_').next());
        }
        checkers_alone =
            line.starts_with("#[cfg(") && line.contains("shootdown_") && !line.starts_with("#[cfg(not(");
    }
    names
}

#[test]
fn at_most_fifteen_names_stand_at_the_root() {
    let names = exports(ROOT);
    for name in ["Shootdown", "tags", "ports", "sanitizer"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
    assert!(names.len() <= 15, "{} names: {names:?}", names.len());
}

#[test]
fn names_that_only_checkers_compile_are_not_counted_and_those_that_they_lack_are() {
    let root = "#[cfg(shootdown_loom)]\npub mod cells;\n#[cfg(not(shootdown_loom))]\npub mod ports;\npub use a::{B, C};\n\
                mod d;\n#[cfg(feature = \"e\")]\npub mod e;\n#[cfg(any(shootdown_loom, shootdown_break))]\npub const F: u8 = 0;\n";
    assert_eq!(exports(root), ["ports", "B", "C", "e"]);
}

#[test]
fn the_crate_page_has_its_sections() {
    let sections: Vec<_> = ROOT.lines().filter_map(|line| line.strip_prefix("//! # ")).collect();
    assert_eq!(sections, ["The problem", "A complete example", "The layers", "Features", "Safety", "Links"]);
    assert!(ROOT.contains("include_str!(\"../examples/embed.rs\")"), "the example is not on the crate page");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let example = include_str!("../examples/coherence.rs");
    let begin = example.find("// README: begin\n").expect("begin mark") + "// README: begin\n".len();
    let end = example.find("// README: end").expect("end mark");
    assert!(README.contains(example[begin..end].trim()), "README.md differs from examples/coherence.rs");
}

/// Methods of the engine that a text calls, in its order.
fn calls(text: &str) -> Vec<&str> {
    let after = text.split("ENGINE.").skip(1);
    after.filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()).collect()
}

#[test]
fn the_readme_calls_the_engine_in_the_order_of_the_example_which_runs() {
    let example = include_str!("../examples/coherence.rs");
    let (_, run) = example.split_once("// README: end").expect("end mark");
    let (_, kernel) = README.split_once("Then, in the kernel:").expect("the kernel's calls");
    let (_, kernel) = kernel.split_once("```rust").expect("a block");
    let shown = calls(kernel.split("```").next().expect("its end"));
    assert!(shown.contains(&"retire"), "{shown:?}");
    let mut left = calls(run).into_iter();
    for call in &shown {
        assert!(
            left.any(|next| next == *call),
            "{call} is not where the example has it: {shown:?}, {:?}",
            calls(run)
        );
    }
}

#[test]
fn the_readme_has_at_most_900_words() {
    let words = README.split_whitespace().count();
    assert!(words <= 900, "README.md has {words} words");
}

#[test]
fn the_book_shows_sources_as_they_are() {
    let book = repository().join("docs/book/src");
    let mut shown = 0;
    for entry in std::fs::read_dir(&book).expect("the book") {
        let path = entry.expect("a chapter").path();
        let chapter = std::fs::read_to_string(&path).expect("text");
        assert!(!chapter.contains("{{#"), "{} has an include that is not expanded", path.display());
        for part in chapter.split("<!-- from ").skip(1) {
            let (source, rest) = part.split_once(" -->").expect("the end of the mark");
            let block = rest.split("```").nth(1).expect("a block after the mark");
            let (_, block) = block.split_once('\n').expect("a language");
            assert_eq!(block.trim_end(), excerpt(&book, source), "{}: {source}", path.display());
            shown += 1;
        }
    }
    assert!(shown >= 13, "{shown} excerpts; is the mark spelt otherwise?");
}

/// The text in backticks, up to a parenthesis.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2).map(|name| name.split('(').next().expect("some"))
}

/// Doc comments of all public items and methods of traits with this name.
fn docs_of(name: &str, sources: &[String]) -> Option<String> {
    let mut docs = None;
    for source in sources {
        let lines: Vec<_> = source.lines().map(str::trim_start).collect();
        for (at, line) in lines.iter().enumerate() {
            let kinds = [
                "pub fn",
                "pub const fn",
                "pub unsafe fn",
                "pub struct",
                "pub enum",
                "fn",
                "unsafe fn",
                "const",
            ];
            let item =
                kinds.iter().find_map(|kind| line.strip_prefix(kind)?.strip_prefix(' ')?.strip_prefix(name));
            if item.is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_')) {
                let above = lines[..at]
                    .iter()
                    .rev()
                    .take_while(|line| line.starts_with("///") || line.starts_with("#["));
                docs.get_or_insert_with(String::new).extend(above.map(|line| [line, "\n"].concat()));
            }
        }
    }
    docs.filter(|docs| !docs.is_empty())
}

#[test]
fn what_has_a_name_of_linux_says_it() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.push(std::fs::read_to_string(path).expect("text"));
            }
        }
    }
    let names =
        std::fs::read_to_string(repository().join("docs/book/src/linux-names.md")).expect("the table");
    let (_, names) = names.split_once("## Lifetime").expect("the tables");
    // An item may stand in several rows: it says the name of one.
    let mut says = BTreeMap::<&str, bool>::new();
    for row in names.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.trim_matches('|').split(" | ");
        let [linux, here] = [cells.next(), cells.next()].map(Option::unwrap_or_default);
        // Words of the engine's inside are lower-case and have no path.
        for item in
            quoted(here).filter(|item| item.contains(char::is_uppercase) && quoted(linux).next().is_some())
        {
            let Some(docs) = docs_of(item.rsplit("::").next().expect("some"), &sources) else { continue };
            *says.entry(item).or_default() |=
                quoted(linux).any(|name| docs.contains(name.trim_start_matches('.')));
        }
    }
    let silent: Vec<_> = says.iter().filter(|(_, says)| !**says).collect();
    let seen = says.len();
    assert!(silent.is_empty(), "{silent:#?}");
    assert!(seen >= 30, "{seen} items; are the tables spelt otherwise?");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands in a file, or between the marks of `file:anchor`.
fn excerpt(book: &Path, source: &str) -> String {
    let (file, anchor) = source.split_once(':').unwrap_or((source, ""));
    let text = std::fs::read_to_string(book.join(file)).expect("the source");
    let lines: Vec<_> = text.lines().collect();
    let mark = |word: &str| lines.iter().position(|line| line.ends_with(&format!("{word}: {anchor}")));
    let lines = match anchor {
        "" => &lines[..],
        _ => &lines[mark("ANCHOR").expect("the anchor") + 1..mark("ANCHOR_END").expect("its end")],
    };
    let kept: Vec<_> = lines.iter().copied().filter(|line| !line.contains("ANCHOR")).collect();
    kept.join("\n").trim_end().trim_start_matches('\n').to_owned()
}
