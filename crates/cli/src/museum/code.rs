//! A model's source, broken and fixed side by side.

use maud::{Markup, html};
use proc_macro2::{LineColumn, TokenStream, TokenTree};
use shootdown_machine::Variant;
use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::edits::Line;
use super::policy::Knowledge;
use super::specialise::specialise;

/// Equal lines around a difference that stay in sight.
const CONTEXT: usize = 6;
/// Fewer equal lines than this are not worth folding.
const FOLD: usize = 5;

/// Renders the files of a model, each with both variants side by side, or once where they are the same.
pub fn files(code: &[(&str, &str)]) -> Markup {
    let [broken, fixed] = [Variant::Broken, Variant::Fixed].map(|variant| Knowledge::read(code, variant));
    html! { @for (name, source) in code { (file(name, source, &broken, &fixed)) } }
}

fn file(name: &str, source: &str, broken: &Knowledge, fixed: &Knowledge) -> Markup {
    let lines = |knowledge| specialise(source, knowledge).unwrap_or_else(|_| plain(source));
    let (broken, fixed) = (lines(broken), lines(fixed));
    let texts = |lines: &[Line]| lines.iter().map(|line| line.text.clone()).collect::<Vec<_>>();
    let (old, new) = (texts(&broken), texts(&fixed));
    if old == new {
        return html! {
            details.file.same {
                summary { code { (name) } " " span.quiet { (old.len()) " lines, the same in both" } }
                div.side.one { (rows(&once(name, &broken))) }
            }
        };
    }
    let ops = capture_diff_slices(Algorithm::Patience, &old, &new);
    let rows_of_all = pair(name, &ops, &broken, &fixed);
    html! {
        figure.file {
            figcaption { code { (name) } }
            div.side role="group" aria-label=(format!("{name}, broken and fixed")) {
                div.heads { span.head.broken { "Broken" } span.head.fixed { "Fixed" } }
                (folded(&rows_of_all))
            }
        }
    }
}

/// One line of each side; one of them may be missing.
struct Row {
    file: String,
    left: Option<Cell>,
    right: Option<Cell>,
    differs: bool,
}

struct Cell {
    number: usize,
    code: Markup,
}

fn pair(name: &str, ops: &[DiffOp], broken: &[Line], fixed: &[Line]) -> Vec<Row> {
    let (left, right) = (cells(broken), cells(fixed));
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let mut all = Vec::new();
    for op in ops {
        let (_, old, new) = op.as_tag_tuple();
        let differs = !matches!(op, DiffOp::Equal { .. });
        for at in 0..old.len().max(new.len()) {
            all.push(Row {
                file: name.to_owned(),
                left: if at < old.len() { left.next() } else { None },
                right: if at < new.len() { right.next() } else { None },
                differs,
            });
        }
    }
    all
}

fn once(name: &str, lines: &[Line]) -> Vec<Row> {
    let row = |cell| Row { file: name.to_owned(), left: Some(cell), right: None, differs: false };
    cells(lines).into_iter().map(row).collect()
}

/// Hides long runs of equal lines until they are asked for.
fn folded(all: &[Row]) -> Markup {
    let near: Vec<bool> = (0..all.len())
        .map(|at| {
            let around = at.saturating_sub(CONTEXT)..(at + CONTEXT + 1).min(all.len());
            all[around].iter().any(|row| row.differs)
        })
        .collect();
    let mut parts = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let end = (at..all.len()).find(|&next| near[next] != near[at]).unwrap_or(all.len());
        parts.push((near[at] || end - at < FOLD, &all[at..end]));
        at = end;
    }
    html! {
        @for (shown, part) in parts {
            @if shown {
                (rows(part))
            } @else {
                details.fold {
                    summary { (part.len()) " lines, the same in both" }
                    (rows(part))
                }
            }
        }
    }
}

fn rows(rows: &[Row]) -> Markup {
    html! {
        @for row in rows {
            div.row.differs[row.differs] {
                (side(row.left.as_ref(), &row.file, "left", if row.differs { "−" } else { "" }))
                (side(row.right.as_ref(), &row.file, "right", if row.differs { "+" } else { "" }))
            }
        }
    }
}

fn side(cell: Option<&Cell>, file: &str, class: &str, sign: &str) -> Markup {
    html! {
        @match cell {
            Some(cell) => {
                // Only what is broken runs in the execution above.
                div class=(class) data-at=[(class == "left").then(|| format!("{file}:{}", cell.number))] {
                    span.number data-number=(cell.number) data-sign=(sign) {}
                    code { (cell.code) }
                }
            }
            None => div class={ (class) " none" } {},
        }
    }
}

fn plain(source: &str) -> Vec<Line> {
    let lines = source.lines().enumerate();
    lines.map(|(at, text)| Line { text: text.to_owned(), number: at + 1 }).collect()
}

fn cells(lines: &[Line]) -> Vec<Cell> {
    let text: String = lines.iter().map(|line| format!("{}\n", line.text)).collect();
    let mut spans = vec![Vec::new(); lines.len()];
    if let Ok(tokens) = text.parse::<TokenStream>() {
        mark(tokens, &mut spans);
    }
    let coloured = lines.iter().zip(spans).map(|(line, spans)| (line.number, colour(&line.text, &spans)));
    coloured.map(|(number, code)| Cell { number, code }).collect()
}

/// A range of columns and what stands there.
type Coloured = (usize, usize, &'static str);

/// Notes where keywords, types and literals are. A line with a comment is left to [`colour`].
fn mark(tokens: TokenStream, spans: &mut [Vec<Coloured>]) {
    for token in tokens {
        let class = match &token {
            TokenTree::Group(group) => {
                mark(group.stream(), spans);
                continue;
            }
            TokenTree::Ident(name) => {
                let name = name.to_string();
                if KEYWORDS.contains(&name.as_str()) {
                    "k"
                } else if name.starts_with(char::is_uppercase) {
                    "t"
                } else {
                    continue;
                }
            }
            TokenTree::Literal(_) => "l",
            TokenTree::Punct(_) => continue,
        };
        let (from, to) = (token.span().start(), token.span().end());
        add(from, to, class, spans);
    }
}

fn add(from: LineColumn, to: LineColumn, class: &'static str, spans: &mut [Vec<Coloured>]) {
    for line in from.line..=to.line {
        let start = if line == from.line { from.column } else { 0 };
        let end = if line == to.line { to.column } else { usize::MAX };
        if let Some(spans) = spans.get_mut(line - 1) {
            spans.push((start, end, class));
        }
    }
}

/// Colours a line; `spans` are in order. What begins with two slashes outside them is a comment.
fn colour(text: &str, spans: &[Coloured]) -> Markup {
    let characters: Vec<char> = text.chars().collect();
    let piece = |from: usize, to: usize| characters[from.min(to)..to].iter().collect::<String>();
    let literal = |at: usize| spans.iter().any(|&(from, to, class)| class == "l" && (from..to).contains(&at));
    // A documentation comment counts as an attribute with a literal over the whole comment.
    let documents = text.trim_start().starts_with("//");
    let comment = (0..characters.len().saturating_sub(1))
        .find(|&at| characters[at] == '/' && characters[at + 1] == '/' && (documents || !literal(at)))
        .unwrap_or(characters.len());
    let mut at = 0;
    html! {
        @for &(from, to, class) in spans.iter().filter(|span| span.0 < comment) {
            @let to = to.min(comment);
            (piece(at, from)) span class=(class) { (piece(from, to)) }
            @let () = at = to;
        }
        (piece(at, comment))
        @if comment < characters.len() { span.c { (piece(comment, characters.len())) } }
    }
}

const KEYWORDS: [&str; 30] = [
    "as", "break", "const", "continue", "crate", "else", "enum", "false", "fn", "for", "if", "impl", "in",
    "let", "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct",
    "super", "true", "type", "use", "while",
];

#[cfg(test)]
mod tests {
    use super::files;
    use scraper::{Html, Selector};

    const SOURCE: &str = "fn f(&self) {\n    if self.variant == Variant::Fixed {\n        a(\"//\"); // why <b>\n    }\n    b();\n}\n";

    fn texts(html: &str, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        Html::parse_fragment(html).select(&selector).map(|e| e.text().collect()).collect()
    }

    #[test]
    fn lines_that_differ_stand_side_by_side() {
        let html = files(&[("a.rs", SOURCE)]).into_string();
        assert_eq!(texts(&html, ".differs .right code"), ["    a(\"//\"); // why <b>"]);
        assert_eq!(texts(&html, ".differs .left code"), Vec::<String>::new());
        assert_eq!(texts(&html, ".row .left code"), ["fn f(&self) {", "    b();", "}"]);
        assert_eq!(texts(&html, ".differs .c"), ["// why <b>"]);
        assert_eq!(texts(&html, ".differs .l"), ["\"//\""]);
    }

    #[test]
    fn a_file_that_is_the_same_is_shown_once() {
        let html = files(&[("a.rs", "fn f() {\n    g();\n}\n")]).into_string();
        assert_eq!(texts(&html, "summary"), ["a.rs 3 lines, the same in both"]);
        assert_eq!(texts(&html, ".left code").len(), 3);
        assert!(texts(&html, ".right code").is_empty());
    }

    #[test]
    fn long_runs_of_equal_lines_are_folded() {
        let source = format!("{}{SOURCE}", "fn g() {}\n".repeat(20));
        let html = files(&[("a.rs", &source)]).into_string();
        assert_eq!(texts(&html, ".fold summary"), ["15 lines, the same in both"]);
    }
}
