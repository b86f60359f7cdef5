//! Weaves mutants into a source file: each snippet becomes a choice between itself and what replaces it.
//!
//! A snippet is a whole expression, or whole statements. What stands around it may be given to find it by, with the
//! snippet itself in `«»`.
//!
//! Several mutants of one snippet become a chain; a snippet inside another one is woven into the branch that keeps the
//! other one as it is.

use anyhow::{Context, Result, bail, ensure};
use regex::Regex;
use std::collections::BTreeSet;
use std::ops::Range;

use super::set::Edit;

/// A mutant's edit, with the mutant's name and number.
#[derive(Clone, Copy, Debug)]
pub struct Numbered<'a> {
    /// Name of the mutant.
    pub name: &'a str,
    /// Its number.
    pub number: usize,
    /// What it does to the file.
    pub edit: &'a Edit,
}

/// A snippet that was found, and what may take its place.
struct Place<'a> {
    span: Range<usize>,
    /// Mutants in the order of the set.
    choices: Vec<Numbered<'a>>,
}

/// Weaves `edits` into `source`.
///
/// # Errors
/// A snippet does not occur, or more than once, or overlaps another one; the error names the mutant.
pub fn weave(source: &str, edits: &[Numbered<'_>]) -> Result<String> {
    let mut places: Vec<Place<'_>> = Vec::new();
    let mut missing = Vec::new();
    for &numbered in edits {
        let span = match find(source, numbered.edit) {
            Ok(span) => span,
            Err(error) => {
                missing.push(format!("mutant {}: {error:#}", numbered.name));
                continue;
            }
        };
        match places.iter_mut().find(|place| place.span == span) {
            Some(place) => place.choices.push(numbered),
            None => places.push(Place { span, choices: vec![numbered] }),
        }
    }
    ensure!(missing.is_empty(), "{}", missing.join("\n"));
    // Outer ones first.
    places.sort_by_key(|place| (place.span.start, std::cmp::Reverse(place.span.end)));
    let mut open: Vec<&Place<'_>> = Vec::new();
    for place in &places {
        open.retain(|outer| outer.span.end > place.span.start);
        if let Some(outer) = open.iter().find(|outer| outer.span.end < place.span.end) {
            bail!(
                "mutants {} and {} overlap; choose snippets of which one holds the other",
                outer.choices[0].name,
                place.choices[0].name
            );
        }
        open.push(place);
    }
    let woven = emit(source, 0..source.len(), &places);
    Ok(without_const(source, &woven, &places))
}

/// Writes `span` of the source, with the places in it woven.
fn emit(source: &str, span: Range<usize>, places: &[Place<'_>]) -> String {
    let mut out = String::new();
    let mut at = span.start;
    let mut rest = places;
    while let Some((place, behind)) = rest.split_first() {
        let inner = behind.iter().take_while(|inner| inner.span.start < place.span.end).count();
        let (inner, next) = behind.split_at(inner);
        out.push_str(&source[at..place.span.start]);
        let original = emit(source, place.span.clone(), inner);
        out.push_str(&chain(&source[place.span.clone()], &original, &place.choices));
        at = place.span.end;
        rest = next;
    }
    out.push_str(&source[at..span.end]);
    out
}

/// A chain of choices; around an expression it stands in parentheses.
fn chain(snippet: &str, original: &str, choices: &[Numbered<'_>]) -> String {
    let mut out = String::new();
    for Numbered { number, edit, .. } in choices {
        out.push_str(&format!("if crate::fault::mutant({number}) {{ {} }} else ", edit.replace.trim()));
    }
    out.push_str(&format!("{{ {original} }}"));
    if is_statements(snippet) { out } else { format!("({out})") }
}

fn is_statements(snippet: &str) -> bool {
    snippet.ends_with(';') || snippet.ends_with('}')
}

/// Finds the one place of an edit's snippet.
fn find(source: &str, edit: &Edit) -> Result<Range<usize>> {
    let (pattern, snippet) = pattern(&edit.find)?;
    for part in [snippet, edit.replace.as_str()] {
        parses(part, snippet)
            .with_context(|| format!("{part:?} is no whole expression, nor whole statements"))?;
    }
    let blocks = match &edit.within {
        None => Vec::from([Range { start: 0, end: source.len() }]),
        Some(head) => {
            let blocks = blocks(source, head);
            ensure!(!blocks.is_empty(), "no block of the file begins with {head:?}");
            blocks
        }
    };
    let found: BTreeSet<(usize, usize)> = blocks
        .iter()
        .flat_map(|block| {
            let text = &source[block.clone()];
            let hits = pattern.captures_iter(text).filter_map(|hit| hit.get(1));
            hits.map(|hit| (block.start + hit.start(), block.start + hit.end()))
        })
        .collect();
    match found.iter().collect::<Vec<_>>()[..] {
        [&(start, end)] => Ok(start..end),
        [] => bail!("the source has no {:?}{}; mend `find`", edit.find, place(edit)),
        _ => bail!(
            "{:?} occurs {} times{}; add `in`, or take more of the line",
            edit.find,
            found.len(),
            place(edit)
        ),
    }
}

/// What to look for, with the snippet as its group, and the snippet.
fn pattern(find: &str) -> Result<(Regex, &str)> {
    let (before, snippet, behind) = match find.split_once('«') {
        None => ("", find, ""),
        Some((before, rest)) => {
            let (snippet, behind) = rest.split_once('»').context("`«` without `»` in its snippet")?;
            (before, snippet, behind)
        }
    };
    let words = |text: &str| -> String {
        text.split_whitespace().map(regex::escape).collect::<Vec<_>>().join(r"\s+")
    };
    let snippet = snippet.trim();
    ensure!(!snippet.is_empty(), "its snippet is empty");
    let space = |text: &str| if text.is_empty() { "" } else { r"\s*" };
    let text =
        format!("{}{}({}){}{}", words(before), space(before), words(snippet), space(behind), words(behind));
    Ok((Regex::new(&text).context("its snippet")?, snippet))
}

/// Whether `part` can stand where `snippet` does.
fn parses(part: &str, snippet: &str) -> Result<()> {
    if is_statements(snippet) {
        syn::parse_str::<syn::Block>(&format!("{{ {part} }}"))?;
    } else {
        syn::parse_str::<syn::Expr>(part)?;
    }
    Ok(())
}

fn place(edit: &Edit) -> String {
    edit.within.as_ref().map_or(String::new(), |head| format!(" in {head:?}"))
}

/// Blocks whose first line holds `head`: to the line that closes it, at the same indentation (the sources are laid out
/// by rustfmt).
fn blocks(source: &str, head: &str) -> Vec<Range<usize>> {
    let mut blocks = Vec::new();
    let mut at = 0;
    for line in source.split_inclusive('\n') {
        let (start, end) = (at, at + line.len());
        at = end;
        let indent = line.len() - line.trim_start().len();
        if !line.contains(head) || line.trim_start().starts_with("//") {
            continue;
        }
        let close = format!("\n{}}}", &line[..indent]);
        let closes_at_once = line.trim_end().ends_with(['}', ';']);
        let close = if closes_at_once { None } else { source[end - 1..].find(&close) };
        blocks.push(start..close.map_or(end, |found| end - 1 + found + close_len(indent)));
    }
    blocks
}

fn close_len(indent: usize) -> usize {
    indent + 2
}

/// Takes `const` off the functions that have mutants, which are chosen at run time, and off those that call them (by a
/// name that tells; every type has a `new`).
fn without_const(source: &str, woven: &str, places: &[Place<'_>]) -> String {
    let head = Regex::new(r"\bconst fn (\w+)").expect("a constant pattern");
    let body = |found: &regex::Captures<'_>| -> Option<Range<usize>> {
        let at = found.get(0)?.start();
        blocks(source, &found[0]).into_iter().find(|block| block.contains(&at))
    };
    let functions: Vec<(String, Range<usize>)> = head
        .captures_iter(source)
        .map(|found| (found[1].to_owned(), body(&found).unwrap_or_default()))
        .collect();
    let mut affected: Vec<bool> = functions
        .iter()
        .map(|(_, block)| places.iter().any(|place| block.contains(&place.span.start)))
        .collect();
    loop {
        let names: Vec<&str> =
            functions.iter().zip(&affected).filter(|(_, on)| **on).map(|(f, _)| f.0.as_str()).collect();
        let calls = |text: &str| {
            names.iter().any(|name| {
                *name != "new"
                    && (text.contains(&format!(".{name}(")) || text.contains(&format!("::{name}(")))
            })
        };
        let next: Vec<bool> = functions
            .iter()
            .zip(&affected)
            .map(|((_, block), on)| *on || calls(&source[block.clone()]))
            .collect();
        if next == affected {
            break;
        }
        affected = next;
    }
    // No replacement has a function in it, so the nth one here is the nth one there.
    let mut nth = affected.into_iter();
    let plain = |found: &regex::Captures<'_>| {
        if nth.next().unwrap_or(false) { format!("fn {}", &found[1]) } else { found[0].to_owned() }
    };
    head.replace_all(woven, plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Numbered, weave};
    use crate::mutants::set::Edit;

    fn edit(within: Option<&str>, find: &str, replace: &str) -> Edit {
        Edit { within: within.map(str::to_owned), find: find.to_owned(), replace: replace.to_owned() }
    }

    fn woven(source: &str, edits: &[(&str, Edit)]) -> anyhow::Result<String> {
        let numbered: Vec<_> = edits
            .iter()
            .enumerate()
            .map(|(at, (name, edit))| Numbered { name, number: at + 1, edit })
            .collect();
        weave(source, &numbered)
    }

    const SOURCE: &str = "fn a() {\n    let x = y + 1;\n    go(x);\n}\n\nfn b() {\n    go(x);\n}\n";

    #[test]
    fn an_expression_becomes_a_choice_in_parentheses_and_a_statement_one_without() {
        let text = woven(SOURCE, &[("one", edit(None, "y + 1", "y"))]).expect("woven");
        assert!(text.contains("let x = (if crate::fault::mutant(1) { y } else { y + 1 });"), "{text}");
        let text = woven(SOURCE, &[("one", edit(Some("fn b"), "go(x);", ""))]).expect("woven");
        assert!(
            text.ends_with("fn b() {\n    if crate::fault::mutant(1) {  } else { go(x); }\n}\n"),
            "{text}"
        );
    }

    #[test]
    fn mutants_of_one_snippet_form_a_chain() {
        let edits = [("one", edit(None, "y + 1", "y")), ("two", edit(None, "y + 1", "y + 2"))];
        let text = woven(SOURCE, &edits).expect("woven");
        let chain =
            "(if crate::fault::mutant(1) { y } else if crate::fault::mutant(2) { y + 2 } else { y + 1 })";
        assert!(text.contains(chain), "{text}");
    }

    #[test]
    fn an_inner_snippet_is_woven_into_the_branch_that_keeps_the_outer_one() {
        let edits =
            [("inner", edit(None, "y + 1", "y")), ("outer", edit(None, "let x = y + 1; go(x);", ";"))];
        assert!(woven(SOURCE, &edits).is_ok());
        let source = "f(g(h));\n";
        let edits = [("inner", edit(None, "g(h)", "h")), ("outer", edit(None, "f(g(h));", ""))];
        let text = woven(source, &edits).expect("woven");
        assert_eq!(
            text,
            "if crate::fault::mutant(2) {  } else { f((if crate::fault::mutant(1) { h } else { g(h) })); }\n"
        );
    }

    #[test]
    fn snippets_that_are_missing_doubled_or_overlap_are_refused_with_the_mutant_s_name() {
        let refusal =
            |edits: &[(&str, Edit)]| format!("{:#}", woven(SOURCE, edits).expect_err("must be refused"));
        let twice = refusal(&[("two-places", edit(None, "go(x);", ""))]);
        assert!(twice.contains("mutant two-places") && twice.contains("occurs 2 times"), "{twice}");
        let none = refusal(&[("nowhere", edit(None, "stop();", ""))]);
        assert!(none.contains("mutant nowhere") && none.contains("has no"), "{none}");
        let block = refusal(&[("no-block", edit(Some("fn c"), "go(x);", ""))]);
        assert!(block.contains("mutant no-block") && block.contains("fn c"), "{block}");
        let edits = [("left", edit(None, "let x = y + 1;", "")), ("right", edit(None, "1; go(x);", ""))];
        let overlap = refusal(&edits);
        assert!(overlap.contains("mutants left and right overlap"), "{overlap}");
    }

    #[test]
    fn a_marked_snippet_is_found_by_what_stands_around_it() {
        let source = "match x {\n    A => false,\n    B => false,\n}\n";
        let text = woven(source, &[("one", edit(None, "B => «false»,", "true"))]).expect("woven");
        assert!(
            text.contains("A => false,\n    B => (if crate::fault::mutant(1) { true } else { false }),"),
            "{text}"
        );
        let refused = woven(source, &[("arm", edit(None, "B => false", "B => true"))]);
        assert!(format!("{:#}", refused.expect_err("no expression")).contains("mutant arm"));
    }

    #[test]
    fn white_space_in_a_snippet_stands_for_any() {
        let text = woven(SOURCE, &[("one", edit(None, "let x = y + 1; go(x);", "go(y);"))]).expect("woven");
        assert!(text.contains("{ go(y); } else { let x = y + 1;\n    go(x); }"), "{text}");
    }

    #[test]
    fn functions_with_mutants_and_their_callers_are_no_longer_const() {
        let source = "const fn a() -> u8 {\n    1\n}\nconst fn b() -> u8 {\n    Self::a()\n}\nconst fn c() -> u8 {\n    3\n}\n";
        let text = woven(source, &[("one", edit(Some("fn a"), "1", "2"))]).expect("woven");
        assert!(
            text.contains("\nfn b()") && text.starts_with("fn a()") && text.contains("const fn c()"),
            "{text}"
        );
    }
}
