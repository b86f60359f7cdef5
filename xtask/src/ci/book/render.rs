//! The book as pages, for those who have no mdBook.

use anyhow::{Context, Result};
use pulldown_cmark::{CowStr, Event, Parser, Tag, TagEnd, html};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::read::{Book, Chapter, OPTIONS, slug};

const STYLE: &str = "body{margin:0 auto;max-width:72rem;display:flex;gap:2rem;font:1rem/1.5 system-ui,sans-serif;padding:1rem}\
nav{flex:0 0 16rem}nav a{display:block;text-decoration:none;padding:.1rem 0}nav a[aria-current]{font-weight:bold}main{min-width:0;\
flex:1}pre{overflow:auto;padding:.75rem;background:#8881}table{border-collapse:collapse}td,th{border:1px solid #8886;\
padding:.2rem .5rem;vertical-align:top;text-align:left}@media(max-width:50rem){body{display:block}}:root{color-scheme:light dark}";

/// Writes a page for each chapter, and the first again as the index.
///
/// # Errors
/// The folder cannot be written to.
pub fn render(book: &Book, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (at, chapter) in book.chapters.iter().enumerate() {
        let page = page(book, chapter);
        let mut names = vec![page_name(&chapter.file)];
        names.extend((at == 0).then(|| "index.html".to_owned()));
        for name in names {
            let path = folder.join(name);
            fs::write(&path, &page).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    Ok(())
}

fn page(book: &Book, chapter: &Chapter) -> String {
    let mut nav = String::new();
    for other in &book.chapters {
        let current = if other.file == chapter.file { " aria-current=\"page\"" } else { "" };
        let (name, indent) = (page_name(&other.file), other.depth);
        let _ = writeln!(
            nav,
            "<a href=\"{name}\"{current} style=\"margin-left:{indent}rem\">{}</a>",
            escaped(&other.title)
        );
    }
    let mut body = String::new();
    html::push_html(&mut body, events(&chapter.text).into_iter());
    format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{} - shootdown</title>\n<style>{STYLE}</style>\n<nav>\n{nav}</nav>\n<main>\n{body}</main>\n</html>\n",
        escaped(&chapter.title)
    )
}

/// The chapter with anchors on its headings, and links to pages in place of links to files.
fn events(text: &str) -> Vec<Event<'_>> {
    let mut events: Vec<Event<'_>> = Parser::new_ext(text, OPTIONS).collect();
    let mut open = None;
    for at in 0..events.len() {
        match &mut events[at] {
            Event::Start(Tag::Heading { .. }) => open = Some((at, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut open {
                    *heading += text;
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) if !dest_url.contains("://") => {
                *dest_url = CowStr::from(dest_url.replace(".md", ".html"));
            }
            Event::End(TagEnd::Heading(_)) => {
                if let Some((begin, heading)) = open.take() {
                    if let Event::Start(Tag::Heading { id, .. }) = &mut events[begin] {
                        *id = Some(CowStr::from(slug(&heading)));
                    }
                }
            }
            _ => {}
        }
    }
    events
}

fn page_name(file: &str) -> String {
    file.replace(".md", ".html")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::page;
    use crate::ci::book::read::{Book, Chapter};

    #[test]
    fn a_page_has_its_neighbours_its_anchors_and_links_to_pages() {
        let text = "# A & b\n\n[next](b.md#x), `<code>`\n".to_owned();
        let chapter =
            Chapter { file: "a.md".to_owned(), title: "A & b".to_owned(), text, ..Chapter::default() };
        let other = Chapter { file: "b.md".to_owned(), title: "B".to_owned(), ..Chapter::default() };
        let page = page(&Book { chapters: vec![Chapter::default(), other], forgotten: Vec::new() }, &chapter);
        for part in [
            "<h1 id=\"a--b\">A &amp; b</h1>",
            "href=\"b.html#x\"",
            "&lt;code&gt;",
            "<a href=\"b.html\"",
            "A &amp; b - shootdown",
        ] {
            assert!(page.contains(part), "{part}\n{page}");
        }
    }
}
