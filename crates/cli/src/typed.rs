use std::env;
use std::ffi::OsStr;

/// Returns how this program was called, for lines that suggest another call: `cargo run --release --`, or its name or
/// path.
pub fn typed() -> String {
    // Cargo tells what it runs which package that is of.
    call(env::var_os("CARGO_PKG_NAME").as_deref(), env::args_os().next().as_deref())
}

fn call(package: Option<&OsStr>, program: Option<&OsStr>) -> String {
    match (package, program.and_then(OsStr::to_str)) {
        (Some(_), _) => "cargo run --release --".to_owned(),
        (None, Some(path)) if path.contains(char::is_whitespace) => format!("'{path}'"),
        (None, Some(path)) => path.to_owned(),
        (None, None) => "shootdown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::call;
    use std::ffi::OsStr;

    #[test]
    fn a_call_is_suggested_as_the_last_one_was_made() {
        let program = |path| call(None, Some(OsStr::new(path)));
        assert_eq!(call(Some(OsStr::new("shootdown-cli")), None), "cargo run --release --");
        assert_eq!(
            (program("shootdown"), program("./a/shootdown")),
            ("shootdown".into(), "./a/shootdown".into())
        );
        assert_eq!(program("/my files/shootdown"), "'/my files/shootdown'");
    }
}
