//! The translator with its guest's fence, and without.

use std::process::Command;

/// Exit code, what it printed and what it complained of.
fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_example-jit")).args(arguments).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// The number before a word of the output.
#[track_caller]
fn number(output: &str, word: &str) -> u64 {
    let (before, _) = output.split_once(word).unwrap_or_else(|| panic!("no {word:?} in {output}"));
    let digits = before.rsplit(|character: char| !character.is_ascii_digit()).next();
    digits
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("no number before {word:?} in {output}"))
}

#[test]
fn with_the_fence_no_read_is_stale_and_only_harts_that_it_names_are_called() {
    let (code, output, errors) = run(&[]);
    assert_eq!(code, Some(0), "{output}{errors}");
    assert_eq!(number(&output, " stale"), 0, "{output}");
    assert!(number(&output, " reads") >= 800, "{output}");
    let (_, hart_3) = output.split_once("hart 3 ").expect("its count");
    assert!(hart_3.starts_with("0 times"), "{output}");
}

#[test]
fn without_the_fence_reads_are_stale() {
    let (code, output, errors) = run(&["no-fence"]);
    assert_eq!(code, Some(1), "{output}{errors}");
    // Of two regions the readers hold one, so that every second round shows it.
    assert!(number(&output, " stale") >= 100, "{output}");
}

#[test]
fn the_platform_is_at_most_sixty_lines() {
    let (_, output, _) = run(&[]);
    let lines = number(&output, " lines");
    assert!((1..=60).contains(&lines), "{output}");
}

#[test]
fn other_arguments_are_refused_by_name() {
    let (code, _, errors) = run(&["--fence"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("--fence") && errors.contains("`no-fence`"), "{errors}");
}
