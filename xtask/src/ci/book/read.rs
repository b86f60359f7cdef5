//! The chapters, as their reader sees them.

use anyhow::{Context, Result};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use std::fs;
use std::path::{Path, PathBuf};

use super::include::expand;

/// Extensions of Markdown that the book uses, as mdBook has them on.
const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_FOOTNOTES).union(Options::ENABLE_STRIKETHROUGH);

/// The book.
#[derive(Debug, Default)]
pub struct Book {
    /// In the order of the summary.
    pub chapters: Vec<Chapter>,
    /// Files of chapters that the summary does not name.
    pub forgotten: Vec<String>,
}

/// A chapter.
#[derive(Debug, Default)]
pub struct Chapter {
    /// File, below `src`.
    pub file: String,
    /// Its text, with what it includes.
    pub text: String,
    /// What could not be included.
    pub problems: Vec<String>,
    /// Where its links lead.
    pub links: Vec<String>,
    /// Names of its headings, as links give them.
    pub anchors: Vec<String>,
    /// Code between words.
    pub inline: Vec<String>,
    /// Blocks of code: what language, and whether they are the chapter's own, not quoted from a file.
    pub blocks: Vec<(String, bool)>,
    /// Whether it begins with a heading of the first level, and has no other.
    pub headed: bool,
}

impl Book {
    /// Reads the book in a folder.
    ///
    /// # Errors
    /// A file of it cannot be read.
    pub fn read(src: &Path) -> Result<Self> {
        let read = |file: &str| {
            let path = src.join(file);
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
        };
        let mut book = Self::default();
        for file in entries(&read("SUMMARY.md")?) {
            let source = read(&file)?;
            let (text, problems) = expand(&source, &src.join(&file));
            let chapter = Chapter { file, text, problems, ..Chapter::default() };
            book.chapters.push(chapter.parsed(&source));
        }
        let mut files: Vec<PathBuf> = fs::read_dir(src)?.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let names = files.iter().filter_map(|path| path.file_name()?.to_str());
        let forgotten = names.filter(|name| {
            name.ends_with(".md")
                && *name != "SUMMARY.md"
                && !book.chapters.iter().any(|chapter| chapter.file == **name)
        });
        book.forgotten = forgotten.map(str::to_owned).collect();
        Ok(book)
    }
}

/// The file of each entry of a summary.
fn entries(summary: &str) -> Vec<String> {
    let entry = |line: &str| Some(line.split_once("](")?.1.strip_suffix(')')?.to_owned());
    summary.lines().filter_map(entry).collect()
}

impl Chapter {
    /// Takes the text apart.
    pub fn parsed(mut self, source: &str) -> Self {
        let mut heading: Option<String> = None;
        let mut block: Option<(String, String)> = None;
        let mut firsts = 0;
        // A block below `<!-- from FILE -->` stands in a file that is compiled; `tests/front_door.rs` compares the two.
        let mut quoted = false;
        for event in Parser::new_ext(source, OPTIONS) {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                    block = Some((language.to_string(), String::new()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    let own = !std::mem::take(&mut quoted);
                    self.blocks.extend(
                        block.take().map(|(language, text)| (language, own && !text.trim().is_empty())),
                    );
                }
                Event::Start(Tag::Heading { level, .. }) => {
                    firsts += usize::from(level == HeadingLevel::H1);
                    heading = Some(String::new());
                }
                Event::End(TagEnd::Heading(_)) => self.anchors.extend(heading.take().map(|text| slug(&text))),
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.links.push(dest_url.to_string());
                }
                Event::Html(html) => quoted |= html.starts_with("<!-- from "),
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        *heading += &code;
                    }
                    self.inline.push(code.to_string());
                }
                Event::Text(text) => {
                    if let Some(heading) = &mut heading {
                        *heading += &text;
                    }
                    if let Some((_, block)) = &mut block {
                        *block += &text;
                    }
                }
                _ => {}
            }
        }
        self.headed = firsts == 1 && source.starts_with("# ");
        self
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
    use super::{Chapter, entries, slug};

    #[test]
    fn the_summary_names_the_files_of_chapters() {
        let summary = "# Summary\n\n[Foreword](foreword.md)\n- [A](a.md)\n  - [B b](b.md)\n";
        assert_eq!(entries(summary), ["foreword.md", "a.md", "b.md"]);
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(slug("3. `flush_local`: what goes?"), "3-flush_local-what-goes");
    }

    #[test]
    fn a_chapter_is_taken_apart() {
        let text = "# Head\n\n[x](a.md#b) and `code`\n\n## Two `words`\n\n<!-- from a.rs -->\n```rust\nfn b() {}\n```\n\n```rust\nfn a() {}\n```\n";
        let chapter = Chapter::default().parsed(text);
        assert_eq!(chapter.links, ["a.md#b"]);
        assert_eq!(chapter.anchors, ["head", "two-words"]);
        assert_eq!(chapter.blocks, [("rust".to_owned(), false), ("rust".to_owned(), true)]);
        assert!(chapter.headed && chapter.inline.contains(&"code".to_owned()));
    }
}
