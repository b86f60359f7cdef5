//! Everything that the bench measures, as JSON and as one self-contained page.

mod figures;
mod lost;
mod measure;
mod page;
mod plots;
mod text;

pub use figures::{Figure, Found};
pub use measure::{Report, report};
pub use page::{page, pictures};

#[cfg(test)]
mod tests {
    use super::{page, report};

    #[test]
    fn the_page_is_whole_and_needs_nothing_from_elsewhere() {
        let report = report(Vec::new(), &[], 1);
        let page = page(&report);
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert_eq!(page.matches("<svg").count(), 3);
        for wanted in [
            "prefers-color-scheme:dark",
            "name=\"viewport\"",
            "What you gain",
            "What is lost",
            "flush page",
            "Early acknowledgement",
        ] {
            assert!(page.contains(wanted), "{wanted}");
        }
        assert!(page.find("What you gain") < page.find("What is lost"));
        for outside in ["src=", "href=", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert!(serde_json::to_string(&report).expect("JSON").contains("\"figures\""));
    }
}
