//! The front door of the crate: what stands at the root, what the crate page says, and what the README shows.

const ROOT: &str = include_str!("../src/lib.rs");
const README: &str = include_str!("../../../README.md");

/// Names that the crate exports at its root, modules included.
fn exports() -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut checkers_alone = false;
    for line in ROOT.lines() {
        if let Some(list) = line.strip_prefix("pub use ").filter(|_| !checkers_alone) {
            let list = list.rsplit("::").next().expect("a path");
            names.extend(list.split(|c: char| !c.is_alphanumeric()).filter(|name| !name.is_empty()));
        }
        if let Some(module) = line.strip_prefix("pub mod ").filter(|_| !checkers_alone) {
            names.extend(module.split(|c: char| !c.is_alphanumeric() && c != '_').next());
        }
        checkers_alone = line.starts_with("#[cfg(") && line.contains("shootdown_");
    }
    names
}

#[test]
fn at_most_fifteen_names_stand_at_the_root() {
    let names = exports();
    assert!(names.contains(&"Shootdown") && names.contains(&"tags"), "{names:?}");
    assert!(names.len() <= 15, "{} names: {names:?}", names.len());
}

#[test]
fn the_crate_page_has_its_sections() {
    let sections: Vec<_> = ROOT.lines().filter_map(|line| line.strip_prefix("//! # ")).collect();
    assert_eq!(sections, ["The problem", "A complete example", "The layers", "Safety", "Links"]);
    assert!(ROOT.contains("include_str!(\"../examples/embed.rs\")"), "the example is not on the crate page");
}

#[test]
fn the_readme_shows_the_example_as_it_is() {
    let example = include_str!("../examples/embed.rs");
    let begin = example.find("// README: begin\n").expect("begin mark") + "// README: begin\n".len();
    let end = example.find("// README: end").expect("end mark");
    assert!(README.contains(example[begin..end].trim()), "README.md differs from examples/embed.rs");
}

#[test]
fn the_readme_has_at_most_900_words() {
    let words = README.split_whitespace().count();
    assert!(words <= 900, "README.md has {words} words");
}
