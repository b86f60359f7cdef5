//! A document, and what it tells its reader to do.
//!
//! Readers see consoles and "In `FILE`:". What they do not see stands in comments: where commands run, what may vary in
//! their output, which command prints an excerpt.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use regex::Regex;

/// Extensions of Markdown that the book uses, as mdBook has them on.
const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_FOOTNOTES).union(Options::ENABLE_STRIKETHROUGH);
/// What commands begin with that run the command of this project.
pub const PROMPT: &str = "$ cargo run --release -- ";
/// The same where the default build leaves the command out.
const FULL_PROMPT: &str = "$ cargo run --release --features full -- ";
/// What commands begin with that run an example; the options for cargo count as arguments.
const EXAMPLE_PROMPT: &str = "$ cargo run --release -p ";
/// The same with a feature of the document's package.
const FEATURE_PROMPT: &str = "$ cargo run --release --features ";
/// What shows the exit code of the command before; the next line is the code.
const EXIT_CODE: &str = "$ echo $?";

/// A chapter of the book, or another document that is followed.
#[derive(Debug, Default)]
pub struct Document {
    /// File, below the root of the project.
    pub file: String,
    /// The faults of its marks.
    pub problems: Vec<String>,
    /// Where its links lead.
    pub links: Vec<String>,
    /// Names of its headings, as links give them.
    pub anchors: Vec<String>,
    /// Code between words.
    pub inline: Vec<String>,
    /// Whether it begins with a heading of the first level, and has no other.
    pub headed: bool,
    /// A package, in a copy of which the commands run.
    pub package: Option<String>,
    /// What it says to do, in its order.
    pub tasks: Vec<Task>,
}

/// Something that a document says to do.
#[derive(Debug)]
pub enum Task {
    /// Write this to a file, behind what the document has written to it before.
    Write(String, String),
    /// Change a file so.
    Change(String, String),
    /// Run the command of this project.
    Run(Shown),
    /// Run it, and find the paragraph's figures in what it prints.
    Figures(Figures),
}

/// A command, and what is shown of what it does.
#[derive(Clone, Debug)]
pub struct Shown {
    /// Its arguments.
    pub arguments: String,
    /// What it prints; `...` stands for any lines. Nothing is compared where nothing is shown.
    pub output: String,
    /// Whether anything may stand before and after that.
    pub excerpt: bool,
    /// How it ends.
    pub code: i32,
    /// What may differ from what is shown.
    pub varies: Option<Regex>,
}

/// A paragraph with figures, and where they come from.
#[derive(Debug)]
pub struct Figures {
    /// The paragraph.
    pub paragraph: String,
    /// The command that prints them: its arguments.
    pub arguments: String,
    /// Groups of it are the figures, in what the command prints.
    pub pattern: Regex,
}

/// The comments and the paragraph before a block of code.
#[derive(Debug, Default)]
struct Before {
    paragraph: String,
    quoted: bool,
    prints: Option<String>,
    not_run: bool,
    varies: Option<Regex>,
}

impl Document {
    /// Takes a text apart.
    pub fn of(file: &str, text: &str) -> Self {
        let mut document = Self { file: file.to_owned(), ..Self::default() };
        let (mut heading, mut code, mut before) = (None::<String>, None, Before::default());
        let mut firsts = 0;
        for (event, range) in Parser::new_ext(text, OPTIONS).into_offset_iter() {
            match event {
                Event::Start(Tag::Paragraph) => before.paragraph = text[range].trim().to_owned(),
                Event::Html(html) => document.mark(&html, &mut before),
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    code = Some((language, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some((language, code)) = code.take() {
                        document.block(&language, code, std::mem::take(&mut before));
                    }
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    firsts += usize::from(level == HeadingLevel::H1);
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => {
                    document.anchors.extend(heading.take().map(|text| slug(&text)));
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    document.links.push(dest_url.to_string());
                }
                Event::Code(words) => {
                    heading.as_mut().into_iter().for_each(|heading| *heading += &words);
                    document.inline.push(words.to_string());
                }
                Event::Text(words) => {
                    heading.as_mut().into_iter().for_each(|heading| *heading += &words);
                    code.as_mut().into_iter().for_each(|(_, code)| *code += &words);
                }
                _ => {}
            }
        }
        document.headed = firsts == 1 && text.starts_with("# ");
        document
    }

    /// Reads a comment. One that is not ours is a problem: it would be taken for a mark, and do nothing.
    fn mark(&mut self, html: &str, before: &mut Before) {
        let html = html.trim();
        if html.is_empty() {
            return;
        }
        let comment = html.strip_prefix("<!-- ").and_then(|html| html.strip_suffix(" -->"));
        match comment.and_then(|comment| comment.split_once(' ')) {
            Some(("from", _)) => before.quoted = true,
            Some(("prints:", arguments)) => before.prints = Some(arguments.to_owned()),
            Some(("not-run:", _)) => before.not_run = true,
            Some(("package:", package)) => self.package = Some(package.to_owned()),
            Some(("varies:", pattern)) => before.varies = self.pattern(pattern),
            Some(("figures:", from)) => {
                let (arguments, pattern) = from.split_once(" | ").unwrap_or((from, ""));
                let (arguments, paragraph) = (arguments.to_owned(), before.paragraph.clone());
                let figures = |pattern| Task::Figures(Figures { paragraph, arguments, pattern });
                let task = self.pattern(pattern).map(figures);
                self.tasks.extend(task);
            }
            _ => self.problems.push(format!("{html} is no mark that this step knows")),
        }
    }

    fn pattern(&mut self, pattern: &str) -> Option<Regex> {
        let read = Regex::new(&format!("(?m){pattern}"));
        read.map_err(|error| self.problems.push(format!("{pattern}: {error}"))).ok()
    }

    fn block(&mut self, language: &str, code: String, before: Before) {
        if let Some(arguments) = before.prints {
            let shown = Shown { arguments, output: code, excerpt: true, code: 0, varies: before.varies };
            return self.tasks.push(Task::Run(shown));
        }
        let file = before.paragraph.strip_prefix("In `").and_then(|rest| rest.strip_suffix("`:"));
        match (language, file.map(str::to_owned)) {
            ("console", _) if before.not_run => {}
            ("console", _) => self.console(&code, before.varies.as_ref()),
            ("diff", Some(file)) => self.tasks.push(Task::Change(file, code)),
            (_, Some(file)) => self.tasks.push(Task::Write(file, code)),
            ("rust", None) if !before.quoted && self.file != "README.md" => self.problems.push(
                "Rust that nothing compiles: quote a file that is compiled, below `<!-- from FILE[:ANCHOR] -->`"
                    .to_owned(),
            ),
            _ => {}
        }
    }

    fn console(&mut self, code: &str, varies: Option<&Regex>) {
        let mut commands: Vec<Shown> = Vec::new();
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            if let Some(arguments) = line.strip_prefix(PROMPT).or_else(|| line.strip_prefix(FULL_PROMPT)) {
                let (arguments, output) = (arguments.to_owned(), String::new());
                commands.push(Shown { arguments, output, excerpt: false, code: 0, varies: varies.cloned() });
                continue;
            }
            let example = line.strip_prefix(EXAMPLE_PROMPT).map(|arguments| format!("-p {arguments}"));
            let feature =
                line.strip_prefix(FEATURE_PROMPT).map(|arguments| format!("--features {arguments}"));
            if let Some(arguments) = example.or(feature) {
                let output = String::new();
                commands.push(Shown { arguments, output, excerpt: false, code: 0, varies: varies.cloned() });
                continue;
            }
            let code = (line == EXIT_CODE).then(|| lines.next()?.parse().ok());
            match (commands.last_mut(), code) {
                (Some(command), Some(Some(code))) => command.code = code,
                (Some(command), None) if !line.starts_with("$ ") => command.output += &format!("{line}\n"),
                _ => self.problems.push(format!("a console has a line that nothing checks: {line}")),
            }
        }
        self.tasks.extend(commands.into_iter().map(Task::Run));
    }
}

/// A heading as links name it: as mdBook does.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::{Document, Task, slug};

    fn told(text: &str) -> Vec<String> {
        let document = Document::of("a.md", text);
        assert_eq!(document.problems, [""; 0]);
        let tell = |task: &Task| match task {
            Task::Write(file, text) => format!("{file} has {text}"),
            Task::Change(file, text) => format!("{file} becomes {text}"),
            Task::Run(shown) => format!("{} -> {} {:?}", shown.arguments, shown.code, shown.output),
            Task::Figures(from) => {
                format!("{} has {} as in {}", from.arguments, from.pattern, from.paragraph)
            }
        };
        document.tasks.iter().map(tell).collect()
    }

    #[test]
    fn files_changes_and_commands_are_picked_out_in_their_order() {
        let text = "text\n\nIn `a.rs`:\n\n```rust\nfn a() {}\n```\n\n```text\nnot written\n```\n\nIn `a.rs`:\n\n```diff\n-a\n```\n\n\
                    ```console\n$ cargo run --release -- check x\nx fails\n...\n$ echo $?\n1\n$ cargo run --release -- list\n```\n\n\
                    <!-- prints: list -->\n\n```text\nx\n```\n\nSome b.\n\n<!-- figures: bench | a (b) -->\n";
        let expected = [
            "a.rs has fn a() {}\n",
            "a.rs becomes -a\n",
            "check x -> 1 \"x fails\\n...\\n\"",
            "list -> 0 \"\"",
            "list -> 0 \"x\\n\"",
            "bench has (?m)a (b) as in Some b.",
        ];
        assert_eq!(told(text), expected);
    }

    #[test]
    fn what_nothing_would_check_is_a_problem() {
        for text in [
            "```rust\nfn a() {}\n```\n",
            "```console\n$ ls\n```\n",
            "```console\noutput of nothing\n```\n",
            "```console\n$ cargo run --release -- list\n$ echo $?\nx\n```\n",
            "<!-- vareis: x -->\n",
            "<!-- varies: ( -->\n",
        ] {
            assert_eq!(Document::of("a.md", text).problems.len(), 1, "{text}");
        }
        assert_eq!(told("<!-- not-run: it installs -->\n\n```console\n$ ls\n```\n"), [""; 0]);
    }

    #[test]
    fn links_headings_and_code_between_words_are_found() {
        let document = Document::of("a.md", "# Head\n\n[x](a.md#b) and `code`\n\n## Two `words`\n");
        assert_eq!(document.links, ["a.md#b"]);
        assert_eq!(document.anchors, ["head", "two-words"]);
        assert!(document.headed && document.inline.contains(&"code".to_owned()));
        assert_eq!(slug("3. `flush_local`: what goes?"), "3-flush_local-what-goes");
    }
}
