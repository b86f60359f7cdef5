//! The README shows code that compiles.

#[test]
fn readme_shows_the_example_as_it_is() {
    let example = include_str!("../examples/embed.rs");
    let begin = example.find("// README: begin\n").expect("begin mark") + "// README: begin\n".len();
    let end = example.find("// README: end").expect("end mark");
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(example[begin..end].trim()), "README.md differs from examples/embed.rs");
}
