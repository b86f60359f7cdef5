//! Taking lines apart. They are bytes: the name of a task need not be UTF-8.

/// Splits at the first `mark`.
pub fn split_first<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).position(|piece| piece == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// Splits at the last `mark`.
pub fn split_last<'a>(text: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = text.windows(mark.len()).rposition(|piece| piece == mark)?;
    Some((&text[..at], &text[at + mark.len()..]))
}

/// Splits after the digits that `text` begins with; there is one at least.
pub fn digits(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Drops the spaces that `text` begins with; there is one at least.
pub fn after_spaces(text: &[u8]) -> Option<&[u8]> {
    let rest = skip_spaces(text);
    (rest.len() < text.len()).then_some(rest)
}

/// Drops the spaces that `text` begins with.
pub fn skip_spaces(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| *byte != b' ').unwrap_or(text.len());
    &text[end..]
}

/// Reads a decimal number without a sign.
pub fn unsigned(text: &[u8]) -> Option<u64> {
    text.iter().all(u8::is_ascii_digit).then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Reads a decimal number.
pub fn signed(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    digits.first()?.is_ascii_digit().then(|| std::str::from_utf8(text).ok()?.parse().ok())?
}

/// Reads a hexadecimal number, with `0x` or without.
pub fn hexadecimal(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"0x").unwrap_or(text);
    digits
        .first()?
        .is_ascii_hexdigit()
        .then(|| u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())?
}

/// What an error shows of a line: its beginning, on one line, with what cannot be printed escaped.
pub fn shown(text: &[u8]) -> String {
    const LONGEST: usize = 120;
    let text = String::from_utf8_lossy(text.trim_ascii());
    let cut: String = text.chars().take(LONGEST).collect();
    let dots = if cut.len() < text.len() { "..." } else { "" };
    format!("{cut:?}{dots}")
}
