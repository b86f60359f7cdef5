//! Stories, written in Markdown, as HTML.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{CowStr, Event, Options, Parser, html};

/// Renders `text`. HTML in it shows as text, and a heading as a bold paragraph: a page has its own.
pub fn render(text: &str) -> Markup {
    use pulldown_cmark::{Tag, TagEnd};
    let events = Parser::new_ext(text, Options::ENABLE_TABLES).map(|event| match event {
        Event::Html(raw) | Event::InlineHtml(raw) => Event::Text(raw),
        Event::Start(Tag::Heading { .. }) => Event::Html(CowStr::Borrowed("<p><strong>")),
        Event::End(TagEnd::Heading(_)) => Event::Html(CowStr::Borrowed("</strong></p>")),
        // A page is one file: pictures stay outside.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => Event::Text(CowStr::Borrowed("")),
        other => other,
    });
    let mut out = String::new();
    html::push_html(&mut out, events);
    PreEscaped(out)
}

#[cfg(test)]
mod tests {
    use super::render;

    #[test]
    fn paragraphs_lists_and_code_become_elements() {
        let html = render("One `x`\ntwo.\n\n    drawing | kept\n\n1. a\n2. b\n").into_string();
        for part in ["<p>One <code>x</code>\ntwo.</p>", "<ol>\n<li>a</li>", "drawing | kept\n</code></pre>"] {
            assert!(html.contains(part), "{part:?} is missing in {html}");
        }
    }

    #[test]
    fn nothing_of_a_story_becomes_a_script_or_a_picture() {
        let html = render("<script>x</script> a <b>b</b>\n\n![t](http://e/x.png)\n\n# Head\n").into_string();
        for part in ["<script", "<b>", "<img", "<h1"] {
            assert!(!html.contains(part), "{part:?} in {html}");
        }
        assert!(html.contains("&lt;b&gt;b&lt;/b&gt;") && html.contains("<strong>Head</strong>"), "{html}");
    }
}
