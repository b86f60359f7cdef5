//! `docs/faithfulness.md` has a row for each bug, and its figures are those of its rows.

use shootdown_cases::bugs;

const TABLE: &str = include_str!("../../../docs/faithfulness.md");
const VERDICTS: [&str; 3] = ["faithful", "mended here", "fix differs"];

struct Row {
    case: &'static str,
    read: &'static str,
    verdict: &'static str,
    words: &'static str,
}

impl Row {
    /// The best of what was read, as the table of figures counts it.
    fn kind(&self) -> &'static str {
        let read = self.read;
        let begins = |what: &str| read.starts_with(what);
        match () {
            () if begins("full patch") => "full patch",
            () if begins("message") || begins("text of") => "message",
            () if begins("current source") => "current source",
            () if begins("memory") => "memory",
            () => panic!("{}: what was read? {read}", self.case),
        }
    }
}

/// Rows before the list of what could come next.
fn rows() -> Vec<Row> {
    let (cases, _) = TABLE.split_once("## What could come next").expect("the list of what could come next");
    let (_, cases) = cases.split_once("\n## ").expect("a table a class");
    let cells = cases.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let rows = cells.map(|line| line.split(" | ").collect::<Vec<_>>()).filter(|cells| cells[0] != "case");
    rows.map(|cells| match cells[..] {
        [case, read, verdict, words] => Row { case, read, verdict, words },
        _ => panic!("four columns: {cells:?}"),
    })
    .collect()
}

#[test]
fn each_bug_has_one_row() {
    let mut named: Vec<&str> = rows().iter().map(|row| row.case).collect();
    let mut bugs: Vec<&str> = bugs::all().map(|bug| bug.name).collect();
    named.sort_unstable();
    bugs.sort_unstable();
    assert_eq!(named, bugs);
}

#[test]
fn figures_are_those_of_the_rows() {
    let rows = rows();
    assert!(TABLE.contains(&format!("Each of the {} cases", rows.len())), "{} rows", rows.len());
    for verdict in VERDICTS {
        let count = rows.iter().filter(|row| row.verdict == verdict).count();
        assert!(TABLE.contains(&format!("| {verdict} | {count} |")), "{verdict}: {count}");
    }
    for kind in ["full patch", "message", "current source", "memory"] {
        let count = rows.iter().filter(|row| row.kind() == kind).count();
        assert!(TABLE.contains(&format!("| {kind} | {count} |")), "{kind}: {count}");
    }
    for row in rows {
        assert!(VERDICTS.contains(&row.verdict), "{}: {}", row.case, row.verdict);
        assert!(row.words.ends_with('.'), "{}: {}", row.case, row.words);
    }
}

#[test]
fn pages_say_where_the_original_was_not_found() {
    let rows = rows();
    for bug in bugs::all() {
        let row = rows.iter().find(|row| row.case == bug.name).expect("a row");
        let story = bug.story.split_whitespace().collect::<Vec<_>>().join(" ");
        let says = ["text could not be found again", "could not find the commit's text"];
        let said = says.iter().any(|words| story.contains(words));
        assert_eq!(said, row.kind() == "memory", "{}", bug.name);
    }
}
