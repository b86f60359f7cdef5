//! Pages to step through: what is on them, without a browser. `cargo xtask ci museum` looks at them in one.

use crate::{shootdown, text};
use predicates::prelude::*;
use predicates::str::contains;
use scraper::{Html, Selector};
use serde_json::Value;
use shootdown_cases::bugs::{Bug, Class, SOURCES, all as bugs};
use tempfile::TempDir;

const BUG: &str = "linux-bafb056c-sparc64-trim";

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Writes the page of `BUG`, and returns it.
fn page() -> String {
    let folder = folder();
    let path = folder.path().join("bug.html");
    shootdown(&["explain", BUG, "--html", text(&path)]).assert().code(0).stdout(contains("Counterexample"));
    std::fs::read_to_string(&path).expect("a page")
}

fn parsed(page: &str) -> Html {
    let html = Html::parse_document(page);
    assert!(html.errors.is_empty(), "not well-formed: {:?}", html.errors);
    html
}

fn texts(html: &Html, selector: &str) -> Vec<String> {
    let selector = Selector::parse(selector).expect("a selector");
    html.select(&selector).map(|element| element.text().collect()).collect()
}

/// Demands that nothing on the page makes a browser load anything.
fn loads_nothing(html: &Html, page: &str) {
    let selector =
        Selector::parse("[src], link, [srcset], [data], [action], object, iframe").expect("a selector");
    for element in html.select(&selector) {
        assert_eq!(element.attr("href"), Some("data:,"), "{} loads something", element.html());
    }
    for loader in ["@import", "url(", "fetch(", "XMLHttpRequest", "import("] {
        assert!(!page.contains(loader), "{loader} may load something");
    }
}

#[test]
fn a_page_is_well_formed_loads_nothing_and_says_all_that_there_is() {
    let page = page();
    assert!(page.len() < 300 << 10, "{} bytes", page.len());
    let html = parsed(&page);
    loads_nothing(&html, &page);
    assert_eq!(texts(&html, "h1"), [BUG]);
    let facts = texts(&html, ".facts").concat();
    for fact in ["bafb056ce279", "sparc64: remove", "Linux", "A1", "SD-9", "2 CPUs", "seed"] {
        assert!(facts.contains(fact), "{fact} is missing in {facts}");
    }
    assert!(texts(&html, ".story li").len() >= 3, "the story has its steps");
    let figures = texts(&html, ".figures").concat();
    assert!(figures.contains("steps to failure") && figures.contains("no execution fails"), "{figures}");
    assert_eq!(texts(&html, ".values .left code"), ["        trim: Overwrite,"]);
    assert_eq!(texts(&html, ".values .right code"), ["        trim: Never,"]);
    let files = ["linux_bafb056c.rs", "single_user.rs", "model/kit/mm.rs"];
    assert_eq!(texts(&html, "#code figcaption > code"), files);
    assert!(texts(&html, ".outcome").concat().contains("which was freed (SD-8)"));
}

#[test]
fn the_data_of_a_page_has_a_state_for_each_step() {
    let html = parsed(&page());
    let data: Value = serde_json::from_str(&texts(&html, "#data").concat()).expect("JSON");
    let steps = data["steps"].as_array().expect("steps");
    let states = data["states"].as_array().expect("states");
    assert_eq!(states.len(), steps.len() + 1);
    assert_eq!(texts(&html, "[data-step]").len(), states.len());
    let at = |text: &str| steps.iter().position(|step| step[1] == text).expect(text) + 1;
    let freed = &states[at("free frame 1")];
    let held = freed["cpus"][1]["facts"].to_string();
    assert!(held.contains(r#"["page 0 → frame 1 (tag 1)","dangling"]"#), "{held}");
    let buffered = &states[at("mm.mask := 0x1 (buffered)")]["cpus"][0]["buffer"];
    assert_eq!(buffered, &serde_json::json!(["mm.mask := 0x1"]));
    let place = |frame: &Value| data["places"][frame["place"].as_u64().expect("a place") as usize].clone();
    let borrower = place(&freed["cpus"][1]["frames"][0]);
    assert_eq!(borrower["file"], "single_user.rs");
    assert!(borrower["code"].as_str().expect("its text").contains("self.borrower"), "{borrower}");
}

#[test]
fn a_case_of_the_engine_has_a_page_once_a_rule_is_removed() {
    let folder = folder();
    let path = folder.path().join("seed.html");
    shootdown(&["explain", "seed", "--drop-rule", "SD-9", "--html", text(&path)]).assert().code(0);
    let page = std::fs::read_to_string(&path).expect("a page");
    let html = parsed(&page);
    assert!(texts(&html, ".facts").concat().contains("SD-9"));
    assert!(texts(&html, "#code").is_empty(), "the engine has no broken and fixed text");
    let run = texts(&html, "#again").concat();
    assert!(run.contains("shootdown check seed --drop-rule SD-9"), "{run}");
}

#[test]
fn a_case_that_holds_has_no_page_and_says_what_would_have_one() {
    let folder = folder();
    let path = folder.path().join("none.html");
    for (case, remedy) in [("seed", "--drop-rule"), (&format!("{BUG}/fixed"), "the bug's name alone")] {
        let told = contains("no page").and(contains(remedy));
        shootdown(&["explain", case, "--html", text(&path)]).assert().code(2).stderr(told);
        assert!(!path.exists(), "{case}: nothing is written");
    }
}

#[test]
fn the_museum_has_a_page_for_each_bug_and_an_index_of_them() {
    let folder = folder();
    let museum = folder.path().join("new").join("museum");
    shootdown(&["explain", "--all", "--html", text(&museum)]).assert().code(0).stdout(contains("index.html"));
    let page = std::fs::read_to_string(museum.join("index.html")).expect("an index");
    assert!(page.len() < 320 << 10, "{} bytes", page.len());
    let index = parsed(&page);
    loads_nothing(&index, &page);
    let count = bugs().count();
    assert_eq!(texts(&index, ".card").len(), count);
    assert!(texts(&index, "h1").concat().contains(&count.to_string()));
    let link = Selector::parse(".card a").expect("a selector");
    for link in index.select(&link).filter_map(|link| link.attr("href")) {
        let page = std::fs::read_to_string(museum.join(link)).expect(link);
        assert!(page.len() < 300 << 10, "{link}: {} bytes", page.len());
        loads_nothing(&parsed(&page), &page);
    }
    for bug in bugs() {
        let suspect = bug.class() == Class::Suspect;
        let page = std::fs::read_to_string(museum.join(format!("{}.html", bug.name))).expect(bug.name);
        assert_eq!(page.contains("Unconfirmed. "), suspect, "{}", bug.name);
        shows_what_was_compiled(bug, &parsed(&page));
    }
    // Once more, over what is there.
    shootdown(&["explain", "--all", "--html", text(&museum)]).assert().code(0);
}

/// Demands that the code on the page is the source of `bug`, that something differs, and that each step has a line.
fn shows_what_was_compiled(bug: &Bug, html: &Html) {
    assert!(!texts(html, ".values .differs").is_empty(), "{}: nothing differs", bug.name);
    let figure = Selector::parse("#code figure:not(.values)").expect("a selector");
    let mut shown = Vec::new();
    for figure in html.select(&figure) {
        let figure = Html::parse_fragment(&figure.html());
        let name = texts(&figure, "figcaption").concat();
        let (_, source) = bug.code.iter().chain(&SOURCES).find(|(file, _)| *file == name).expect("a file");
        let lines: String = texts(&figure, ".row code").iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(lines, *source, "{}: {name}", bug.name);
        shown.push(name);
    }
    for (file, _) in bug.code {
        assert!(shown.iter().any(|name| name == file), "{}: {file} is missing", bug.name);
    }
    let data: Value = serde_json::from_str(&texts(html, "#data").concat()).expect("JSON");
    for place in data["places"].as_array().expect("places") {
        let file = place["file"].as_str().expect("a file");
        assert!(shown.iter().any(|name| name == file), "{}: a step is in {place}", bug.name);
        assert!(place["code"].is_string(), "{}: a step has no line: {place}", bug.name);
    }
}

#[test]
fn a_page_shows_the_chain_of_protocols_with_links_and_where_each_is_right() {
    let folder = folder();
    let path = folder.path().join("bug.html");
    let write = |name: &str| {
        shootdown(&["explain", name, "--html", text(&path)]).assert().code(0);
        parsed(&std::fs::read_to_string(&path).expect("a page"))
    };
    let bug = "linux-16af97dc-shared-flag";
    let html = write(bug);
    assert_eq!(texts(&html, "h1"), [bug]);
    assert_eq!(texts(&html, ".chain th code"), ["unsaid", "broken", "fixed"]);
    assert_eq!(texts(&html, ".chain tbody .good").len(), 4, "the mended one holds under each model");
    assert_eq!(texts(&html, ".chain tbody .bad").len(), 8);
    let link = Selector::parse(".chain a").expect("a selector");
    let links: Vec<_> = html.select(&link).filter_map(|link| link.attr("href")).collect();
    assert_eq!(
        links,
        ["20841405940e", "16af97dc5a89"].map(|hash| format!("https://git.kernel.org/linus/{hash}"))
    );
    let earlier = write("linux-20841405-migrate-protnone");
    assert!(
        texts(&earlier, "#protocols p").concat().contains(bug),
        "the page of the fix names the bug in it"
    );
    let html = write(&format!("{bug}/unsaid"));
    assert_eq!(texts(&html, "h1"), [format!("{bug}/unsaid")]);
    assert!(texts(&html, ".values .left code").concat().contains("Unsaid"));
    assert!(texts(&html, "#again").concat().contains(&format!("shootdown check {bug}/unsaid")));
}

#[test]
fn pages_are_the_same_whenever_and_on_however_many_workers_they_are_made() {
    let folder = folder();
    let write = |file: &str, workers: &str| {
        let path = folder.path().join(file);
        shootdown(&["explain", BUG, "--html", text(&path), "--workers", workers]).assert().code(0);
        std::fs::read_to_string(&path).expect("a page")
    };
    let first = write("1.html", "1");
    assert!(first == write("2.html", "1") && first == write("3.html", "2"), "the pages differ");
}

#[test]
fn a_file_of_another_origin_is_never_written_over() {
    for foreign in ["index.html".to_owned(), format!("{BUG}.html")] {
        let folder = folder();
        let path = folder.path().join(&foreign);
        std::fs::write(&path, "<title>mine</title>").expect("a file");
        let told = contains("no page of this command").and(contains(foreign));
        shootdown(&["explain", "--all", "--html", text(folder.path())])
            .assert()
            .code(2)
            .stdout("")
            .stderr(told);
        assert_eq!(std::fs::read_to_string(&path).expect("it"), "<title>mine</title>");
        assert_eq!(std::fs::read_dir(folder.path()).expect("it").count(), 1, "nothing else is written");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_the_run() {
    let folder = folder();
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a file");
    let (file, below) = (text(&file), file.join("bug.html"));
    for arguments in [
        &["explain", "--all", "--html", file][..],
        &["explain", "--all", "--html", text(&below)],
        &["explain", BUG, "--html", text(&below)],
        &["explain", BUG, "--html", text(folder.path())],
    ] {
        let named = contains(arguments[arguments.len() - 1]);
        shootdown(arguments).assert().code(2).stdout("").stderr(contains("cannot write").and(named));
    }
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    for arguments in [
        &["explain"][..],
        &["explain", "--all"],
        &["explain", "--all", BUG, "--html", "x"],
        &["explain", "--all", "--html", "x", "--drop-rule", "SD-1"],
        &["explain", "--all", "--html", "x", "--svg", "y"],
    ] {
        shootdown(arguments).assert().code(2).stdout("").stderr(contains("Usage"));
    }
}
