//! A model's source as it is in the repository, and the values by which its two protocols differ.

use maud::{Markup, html};
use proc_macro2::{LineColumn, TokenStream, TokenTree};
use shootdown_cases::bugs::{Bug, Stage};
use shootdown_machine::Variant;
use similar::{ChangeTag, TextDiff};
use std::collections::BTreeMap;

use super::data::Sources;

/// Words by which the two protocols differ, and the class that each is shown with.
pub type Words = BTreeMap<String, &'static str>;

/// What the broken and the fixed protocol hold before they run, compared.
pub struct Difference {
    /// Lines of their debug output that differ, below the lines that enclose them.
    lines: Vec<(ChangeTag, String)>,
}

impl Difference {
    /// Builds the protocol of `stage` and the mended one of `bug`, and compares them.
    pub fn of(bug: &Bug, stage: &Stage) -> Self {
        let [wrong, fixed] = [*stage, Stage::FIXED].map(|stage| format!("{:#?}\n", bug.protocol(&stage)));
        Self::between(&wrong, &fixed)
    }

    fn between(broken: &str, fixed: &str) -> Self {
        let diff = TextDiff::from_lines(broken, fixed);
        let mut enclosing: Vec<(usize, String)> = Vec::new();
        let mut lines = Vec::new();
        for change in diff.iter_all_changes() {
            let text = change.value().trim_end();
            let indent = text.len() - text.trim_start().len();
            enclosing.retain(|(outer, text)| *outer < indent && text.ends_with(['{', '(', '[']));
            if change.tag() == ChangeTag::Equal {
                enclosing.push((indent, text.to_owned()));
            } else {
                lines.extend(enclosing.drain(..).map(|(_, text)| (ChangeTag::Equal, text)));
                lines.push((change.tag(), text.to_owned()));
            }
        }
        Self { lines }
    }

    /// The names of what differs, and of the values that each protocol has there.
    pub fn words(&self) -> Words {
        let mut words = Words::new();
        for (tag, line) in &self.lines {
            let class = match tag {
                ChangeTag::Equal => continue,
                ChangeTag::Delete => "of-broken",
                ChangeTag::Insert => "of-fixed",
            };
            let line = line.trim();
            let (field, value) = line.split_once(": ").unwrap_or(("", line));
            if !field.is_empty() {
                words.insert(field.to_owned(), "of-both");
            }
            let value: String = value.chars().take_while(|c| c.is_alphanumeric()).collect();
            if value.starts_with(char::is_uppercase) {
                words.entry(value).and_modify(|known| *known = "of-both").or_insert(class);
            }
        }
        for (variant, class) in [(Variant::Broken, "of-broken"), (Variant::Fixed, "of-fixed")] {
            words.insert(format!("{variant:?}"), class);
        }
        words
    }

    /// Renders the lines.
    pub fn render(&self) -> Markup {
        html! {
            figure.file.values {
                figcaption { "The values that differ: " span.of-broken { "broken" } " and " span.of-fixed { "fixed" } }
                @for (tag, text) in &self.lines {
                    @let (sign, class) = match tag {
                        ChangeTag::Equal => ("", "row"),
                        ChangeTag::Delete => ("−", "row differs left"),
                        ChangeTag::Insert => ("+", "row differs right"),
                    };
                    div class=(class) { span.number data-sign=(sign) {} code { (text) } }
                }
            }
        }
    }
}

/// Renders `files` line by line. Blocks in which neither `runs` is true of a line, by file name and number, nor one of
/// `words` stands, are folded.
pub fn files(files: &Sources, words: &Words, runs: impl Fn(&str, usize) -> bool) -> Markup {
    html! {
        @for (name, source) in files {
            figure.file {
                figcaption { code { (name) } }
                @for part in parts(&lines(source, words, |number| runs(name, number))) {
                    @if part.open {
                        (rows(name, part.lines))
                    } @else {
                        details.fold {
                            summary { (heading(part.lines)) }
                            (rows(name, part.lines))
                        }
                    }
                }
            }
        }
    }
}

struct Line<'s> {
    number: usize,
    text: &'s str,
    code: Markup,
    /// Whether the execution makes a step here.
    runs: bool,
    /// Whether it names something by which the protocols differ.
    names: bool,
}

fn lines<'s>(source: &'s str, words: &Words, runs: impl Fn(usize) -> bool) -> Vec<Line<'s>> {
    let mut spans = vec![Vec::new(); source.lines().count()];
    if let Ok(tokens) = source.parse::<TokenStream>() {
        mark(tokens, words, &mut spans);
    }
    let line = |((at, text), spans): ((usize, &'s str), Vec<Coloured>)| Line {
        number: at + 1,
        text,
        code: colour(text, &spans),
        runs: runs(at + 1),
        names: spans.iter().any(|(.., class)| class.starts_with("of-")),
    };
    source.lines().enumerate().zip(spans).map(line).collect()
}

/// Lines that are shown, or folded, together.
struct Part<'l, 's> {
    open: bool,
    lines: &'l [Line<'s>],
}

/// Groups blocks, which end at empty lines, into parts.
fn parts<'l, 's>(all: &'l [Line<'s>]) -> Vec<Part<'l, 's>> {
    let mut parts = Vec::new();
    let (mut start, mut open) = (0, false);
    let mut end = 0;
    for block in all.split_inclusive(|line| line.text.is_empty()) {
        // What a bug's header says is on the page as prose.
        let header = block.iter().any(|line| line.text.ends_with(": Bug = Bug {"));
        let wanted = !header && block.iter().any(|line| line.runs || line.names);
        if wanted != open && end > start {
            parts.push(Part { open, lines: &all[start..end] });
            start = end;
        }
        (open, end) = (wanted, end + block.len());
    }
    parts.push(Part { open, lines: &all[start..end] });
    parts
}

fn heading(lines: &[Line<'_>]) -> String {
    match lines {
        [first, .., last] => format!("lines {} to {}", first.number, last.number),
        _ => lines.iter().map(|line| format!("line {}", line.number)).collect(),
    }
}

fn rows(file: &str, lines: &[Line<'_>]) -> Markup {
    html! {
        @for line in lines {
            div.row.runs[line.runs] data-at={ (file) ":" (line.number) } {
                span.number data-number=(line.number) {}
                code { (line.code) }
            }
        }
    }
}

/// A range of columns and what stands there.
type Coloured = (usize, usize, &'static str);

/// Notes where keywords, types, literals and `words` are. A line with a comment is left to [`colour`].
fn mark(tokens: TokenStream, words: &Words, spans: &mut [Vec<Coloured>]) {
    for token in tokens {
        let class = match &token {
            TokenTree::Group(group) => {
                mark(group.stream(), words, spans);
                continue;
            }
            TokenTree::Ident(name) => {
                let name = name.to_string();
                if let Some(class) = words.get(&name) {
                    class
                } else if KEYWORDS.contains(&name.as_str()) {
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
    use super::{Difference, Words, files};
    use scraper::{Html, Selector};

    const SOURCE: &str = "use a;\n\nfn f(&self) {\n    if self.trim == Trim::Never {\n        a(\"//\"); // why <b>\n    }\n}\n\nfn g() {\n    h();\n}\n";

    fn texts(html: &str, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        Html::parse_fragment(html).select(&selector).map(|e| e.text().collect()).collect()
    }

    fn words() -> Words {
        Words::from([("trim".to_owned(), "of-both"), ("Never".to_owned(), "of-fixed")])
    }

    #[test]
    fn every_line_of_a_file_is_on_the_page_as_it_is() {
        let html = files(&[("a.rs", SOURCE)], &words(), |_, _| false).into_string();
        let shown: String = texts(&html, ".row code").iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(shown, SOURCE);
        assert_eq!(texts(&html, ".c"), ["// why <b>"]);
        assert_eq!(texts(&html, ".l"), ["\"//\""]);
    }

    #[test]
    fn blocks_that_name_no_difference_and_do_not_run_are_folded() {
        let folds = |runs: &dyn Fn(usize) -> bool| {
            let html = files(&[("a.rs", SOURCE)], &words(), |_, number| runs(number)).into_string();
            assert_eq!(texts(&html, ".of-both, .of-fixed"), ["trim", "Never"]);
            (texts(&html, ".fold summary"), texts(&html, ".runs code"))
        };
        let (folded, runs) = folds(&|_| false);
        assert_eq!(folded, ["lines 1 to 2", "lines 9 to 11"]);
        assert!(runs.is_empty());
        let (folded, runs) = folds(&|number| number == 10);
        assert_eq!(folded, ["lines 1 to 2"]);
        assert_eq!(runs, ["    h();"]);
    }

    #[test]
    fn what_differs_is_shown_below_what_it_is_in() {
        let model = |trim: &str, count: u8| {
            format!(
                "Model {{\n    policy: Policy {{\n        early: true,\n        trim: {trim},\n    }},\n    machine: [\n        1,\n    ],\n    word: Word {{\n        initial: {count},\n    }},\n}}\n"
            )
        };
        let difference = Difference::between(&model("Never", 1), &model("Always", 2));
        let html = difference.render().into_string();
        assert_eq!(texts(&html, ".left code"), ["        trim: Never,", "        initial: 1,"]);
        assert_eq!(texts(&html, ".right code"), ["        trim: Always,", "        initial: 2,"]);
        let around = ["Model {", "    policy: Policy {", "    word: Word {"];
        assert_eq!(texts(&html, ".row:not(.differs) code"), around);
        let words = difference.words();
        let class = |word: &str| words.get(word).copied();
        assert_eq!(class("trim"), Some("of-both"));
        assert_eq!((class("Never"), class("Always")), (Some("of-broken"), Some("of-fixed")));
        assert_eq!((class("Broken"), class("Fixed")), (Some("of-broken"), Some("of-fixed")));
        assert_eq!((class("policy"), class("early")), (None, None));
    }

    #[test]
    fn what_does_not_differ_has_no_lines() {
        assert!(Difference::between("Model {\n}\n", "Model {\n}\n").lines.is_empty());
    }
}
