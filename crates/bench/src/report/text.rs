//! Text in a page.

/// The text, with what stands between backticks as code.
pub(super) fn coded(text: &str) -> String {
    let mut parts = text.split('`');
    let mut out = escaped(parts.next().unwrap_or_default());
    for (at, part) in parts.enumerate() {
        out.push_str(if at % 2 == 0 { "<code>" } else { "</code>" });
        out.push_str(&escaped(part));
    }
    out
}

/// The text, as it stands.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
