//! Partners of the named orderings: the `ORDER` comments in the engine and the table in INVARIANTS.md name the same
//! functions, and each of those orders something itself.

use regex::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::comments::comment;
use super::orders::{ENGINE, SITES, protocol};
use super::read::{Finding, Source};
use super::rules::{INVARIANTS, NAME, PLACES};
use super::sites::{LISTED, USED};

/// A row of the table: site, rule, what comes before what, partner.
static ROW: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^\| `([a-z-]+)` \| SD-[^|]*\|[^|]*\|([^|]*)\|").expect("a constant pattern")
});

/// The part of a comment that names partners: up to the next stop.
static CLAUSE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"partners?: ([^.;]*)").expect("a constant pattern"));

static FUNCTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bfn (\w+)").expect("a constant pattern"));

/// Reads all files.
pub fn read(sources: &[Source]) -> Vec<Finding> {
    let file = |path: &str| sources.iter().find(|source| source.path == path);
    let (Some(list), Some(invariants)) = (file(SITES), file(INVARIANTS)) else { return Vec::new() };
    let in_comments = in_comments(sources);
    let listed = list.lines().filter_map(|(_, line)| Some(LISTED.captures(line)?.extract().1));
    let idents: BTreeMap<&str, &str> = listed.map(|[ident, name]| (name, ident)).collect();
    let mut findings = Vec::new();
    for (number, line) in invariants.lines() {
        let Some([site, cell]) = ROW.captures(line).map(|row| row.extract().1) else { continue };
        let Some(ident) = idents.get(site) else { continue };
        let mut in_table = BTreeSet::new();
        for place in PLACES.captures_iter(cell) {
            let names: BTreeSet<String> = names(&place[2]);
            let source = file(&format!("{ENGINE}{}", &place[1]));
            let idle = names.iter().filter(|name| !source.is_some_and(|source| orders(source, name)));
            findings.extend(
                idle.map(|name| {
                    invariants.finding(number, format!("`{name}` of {} orders nothing", &place[1]))
                }),
            );
            in_table.extend(names);
        }
        let said = in_comments.get(ident).cloned().unwrap_or_default();
        if said != in_table {
            let what =
                format!("the partners of `{site}` are {in_table:?} here and {said:?} in its ORDER comments");
            findings.push(invariants.finding(number, what));
        }
    }
    findings
}

/// The partners that the comments above each site name, by the site's identifier.
fn in_comments(sources: &[Source]) -> BTreeMap<&str, BTreeSet<String>> {
    let mut partners: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        let (mut above, mut goes_on) = (String::new(), false);
        for (_, line) in protocol(source) {
            match comment(line).filter(|_| line.trim_start().starts_with("//")) {
                Some(words) if words.contains("ORDER") => (above, goes_on) = (words.to_owned(), true),
                Some(words) if goes_on => above.push_str(words),
                Some(_) => {}
                None => goes_on = false,
            }
            if goes_on || line.trim_start().starts_with("//") {
                continue;
            }
            for site in USED.captures_iter(line).filter_map(|found| found.get(1)) {
                let named = CLAUSE.captures_iter(&above).flat_map(|clause| names(&clause[1]));
                partners.entry(site.as_str()).or_default().extend(named);
            }
        }
    }
    partners
}

/// The names in backquotes, each without its type.
fn names(text: &str) -> BTreeSet<String> {
    let last = |name: &str| name.rsplit("::").next().unwrap_or(name).to_owned();
    NAME.captures_iter(text).map(|name| last(&name[1])).collect()
}

/// Whether the function `name` of `source` has an atomic access or a fence in its body.
fn orders(source: &Source, name: &str) -> bool {
    let mut inside = false;
    protocol(source).filter(|(_, line)| !line.trim_start().starts_with("//")).any(|(_, line)| {
        if let Some(begun) = FUNCTION.captures(line) {
            inside = &begun[1] == name;
        }
        inside && (line.contains("Ordering::") || line.contains("Site::"))
    })
}

#[cfg(test)]
mod tests {
    use super::{INVARIANTS, SITES, read};
    use crate::tidy::read::source;

    const FLUSH: &str = "fn begin() {\n    // ORDER(SD-4): x before y; partner: `Cpu::load`. Else\n    // `send` fails.\n    \
                          Site::FlushFence.full_fence();\n}\nfn send() {\n    begin()\n}\nfn load() {\n    // ORDER(SD-4): \
                          partner: `begin`.\n    x.load(Site::Loaded.acquire());\n}\n";

    /// The findings of a table that names these partners of the fence.
    fn said(partners: &str) -> Vec<String> {
        let row = format!("| `flush-fence` | SD-4 | x before y | {partners} | loom: `a` |\n");
        let list = "sites! {\n    FlushFence = \"flush-fence\",\n}\n";
        let sources =
            [source(SITES, list), source("crates/shootdown/src/flush.rs", FLUSH), source(INVARIANTS, &row)];
        read(&sources).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn comment_and_table_name_the_same_partners() {
        assert_eq!(said("`flush.rs` `load`"), [""; 0]);
        assert_eq!(
            said("`flush.rs` `begin`"),
            ["the partners of `flush-fence` are {\"begin\"} here and {\"load\"} in its ORDER comments"]
        );
        assert_eq!(said("nobody").len(), 1);
    }

    #[test]
    fn a_partner_orders_something_itself() {
        let said = said("`flush.rs` `load`, `send`");
        assert_eq!(said.len(), 2, "{said:?}");
        assert_eq!(said[0], "`send` of flush.rs orders nothing");
    }
}
