//! The museum's entrance: every bug on a card, by class, to search and to filter.

use maud::{Markup, html};
use shootdown_cases::bugs::{Bug, Class, Right};
use shootdown_explore::Memory;
use shootdown_machine::Expected;
use std::collections::{BTreeMap, BTreeSet};

use super::page::document;
use super::words;
use crate::select::BROKEN;

const SCRIPT: &str = include_str!("index.js");

/// A page of the museum.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// The bug.
    pub bug: &'a Bug,
    /// Steps of its execution.
    pub steps: usize,
    /// States visited until it was found.
    pub states: u64,
}

/// Name of the file of a bug's page.
pub fn file_name(bug: &Bug) -> String {
    format!("{}.html", bug.name)
}

/// Renders the entrance.
pub fn index(entries: &[Entry<'_>]) -> String {
    let classes: BTreeSet<Class> = entries.iter().map(|entry| entry.bug.class()).collect();
    let suspects = entries.iter().filter(|entry| entry.bug.class() == Class::Suspect).count();
    let kernels = count(entries.iter().map(|entry| entry.bug.kernel.to_owned()));
    let body = html! {
        a.skip href="#bugs" { "Skip to the bugs" }
        header.top {
            span.home { "shootdown" }
            nav aria-label="Classes" { @for class in &classes { a href={ "#" (class.letter()) } title=(class.title()) { (class.letter()) } } }
            button #theme.plain type="button" aria-label="Light or dark" title="Light or dark" { "◐" }
        }
        main {
            div.hero {
                p.overline { "A museum of TLB bugs" }
                h1 { (entries.len()) " ways to get a TLB shootdown wrong" }
                p.lead {
                    "Bugs of real kernels in how they keep translations, page tables and address spaces of many CPUs in "
                    "step. Each is a small model, broken and fixed, of which every execution was visited; each page "
                    "tells the story and steps through the shortest execution that fails."
                }
                ul.figures {
                    li { b { (entries.len() - suspects) } span { "confirmed bugs" } }
                    @if suspects > 0 { li { b { (suspects) } span { "suspects, unconfirmed" } } }
                    li { b { (kernels.len()) } span { "kernels and hypervisors" } }
                    li { b { (classes.len()) } span { "classes" } }
                }
            }
            (filters(entries, &classes, &kernels))
            (timeline(entries))
            div #bugs {
                @for class in &classes { (section(*class, entries)) }
            }
            p #none.banner hidden { "No bug is like that. Clear the filters to see them all." }
        }
    };
    document("A museum of TLB bugs", "Bugs of real kernels in TLB coherence, to step through", &body, SCRIPT)
}

fn filters(entries: &[Entry<'_>], classes: &BTreeSet<Class>, kernels: &BTreeMap<String, usize>) -> Markup {
    let of_class = |class: Class| entries.iter().filter(|entry| entry.bug.class() == class).count();
    let rules = count(entries.iter().flat_map(|entry| entry.bug.rules.iter().copied()));
    let needs = count(entries.iter().map(|entry| shown_from(entry.bug)));
    html! {
        form.filters role="search" {
            label.search {
                "Search"
                input #text type="search" placeholder="upgrade, io_uring, A5, sparc64, …" autocomplete="off";
            }
            label {
                "Class"
                select #class {
                    option value="" { "all classes" }
                    @for class in classes {
                        option value=(class.letter()) { (class.letter()) ": " (class.title()) " (" (of_class(*class)) ")" }
                    }
                }
            }
            label {
                "Kernel"
                select #kernel {
                    option value="" { "all kernels" }
                    @for (kernel, count) in kernels { option value=(kernel) { (kernel) " (" (count) ")" } }
                }
            }
            label {
                "Rule"
                select #rule {
                    option value="" { "all rules" }
                    @for (rule, count) in &rules { option value=(rule) { "SD-" (rule) " (" (count) ")" } }
                }
            }
            label {
                "Needs"
                select #needs {
                    option value="" { "anything" }
                    @let weak = needs.iter().filter(|(memory, _)| **memory != "sc").map(|(_, count)| count).sum::<usize>();
                    @if weak > 0 { option value="weaker" { "weak memory: not seen under sc (" (weak) ")" } }
                    @for (memory, count) in &needs { option value=(memory) { (needed(memory)) " (" (count) ")" } }
                }
            }
            label {
                "Year"
                select #year {
                    option value="" { "all years" }
                    @for (year, count) in years(entries) { option value=(year) { (year) " (" (count) ")" } }
                }
            }
            button.plain type="reset" { "Clear" }
            output #shown role="status" { (entries.len()) " of " (entries.len()) }
        }
    }
}

/// The bugs of each year in which there is one.
fn years(entries: &[Entry<'_>]) -> BTreeMap<u16, usize> {
    count(entries.iter().map(|entry| entry.bug.year).filter(|year| *year != 0))
}

/// A bar a year, which chooses that year; nothing where no bug has one.
fn timeline(entries: &[Entry<'_>]) -> Markup {
    let years = years(entries);
    let (Some((&first, _)), Some((&last, _))) = (years.first_key_value(), years.last_key_value()) else {
        return html! {};
    };
    let most = years.values().max().copied().unwrap_or(1);
    html! {
        section.timeline aria-labelledby="timeline-title" {
            h2 #timeline-title { "Year by year" }
            ol style=(format!("--most:{most}")) {
                @for year in first..=last {
                    @let count = years.get(&year).copied().unwrap_or(0);
                    li {
                        @if count > 0 {
                            button type="button" data-year=(year) aria-pressed="false" style=(format!("--count:{count}"))
                                aria-label={ (year) ": " (count) (if count == 1 { " bug" } else { " bugs" }) } {
                                span.count aria-hidden="true" { (count) }
                                span.stem aria-hidden="true" {}
                                span.year aria-hidden="true" { (year) }
                            }
                        } @else {
                            span.year { (year) }
                        }
                    }
                }
            }
        }
    }
}

/// The strongest memory model that shows `bug`.
fn shown_from(bug: &Bug) -> &'static str {
    let broken = bug.stage(BROKEN);
    let right = broken.map_or(Right::Nowhere, |stage| stage.right);
    let shown = Right::MODELS.into_iter().find(|&memory| right.under(memory) == Expected::Violates);
    shown.unwrap_or(Memory::Weak).name()
}

/// What it takes to see a bug that shows from this memory model on.
fn needed(memory: &str) -> &'static str {
    match memory {
        "sc" => "an unlucky interleaving",
        "tso" => "a store that waits (tso)",
        "pso" => "stores that pass each other (pso)",
        _ => "loads of old stores (weak)",
    }
}

fn section(class: Class, entries: &[Entry<'_>]) -> Markup {
    let of_class: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.bug.class() == class).collect();
    html! {
        section.class #(class.letter()) aria-labelledby={ "title-" (class.letter()) } {
            h2 id={ "title-" (class.letter()) } {
                (class.letter()) ": " (class.title()) " " span.quiet { (of_class.len()) }
            }
            ul.cards { @for entry in of_class { (card(entry)) } }
        }
    }
}

fn card(entry: &Entry<'_>) -> Markup {
    let bug = entry.bug;
    let rules: Vec<String> = bug.rules.iter().map(u8::to_string).collect();
    // What the page shows and what people remember, the story included.
    let text =
        [bug.name, bug.id, bug.source, bug.title, bug.kernel, bug.arch, bug.about, bug.story].join(" ");
    html! {
        li.card data-class=(bug.class().letter()) data-kernel=(bug.kernel) data-rules=(rules.join(" "))
            data-needs=(shown_from(bug)) data-year=(bug.year) data-text=(words_of(&text)) {
            h3 { a href=(file_name(bug)) { (bug.name) } }
            p { (words::sentence(bug.about)) }
            div.meta {
                @if bug.class() == Class::Suspect { span.badge.unconfirmed { "unconfirmed" } }
                span.badge { (bug.kernel) }
                span.badge { (bug.arch) }
                @for &rule in bug.rules { span.badge { "SD-" (rule) } }
                @if bug.stages().len() > 2 { span.badge { (bug.stages().len()) " protocols" } }
                @if bug.year != 0 { span.badge { (bug.year) } }
                span { (bug.id) ", " (bug.cpus()) (if bug.cpus() == 1 { " CPU, " } else { " CPUs, " }) (entry.steps) " steps, " (indicatif::HumanCount(entry.states)) " states" }
            }
        }
    }
}

/// Each different word of `text` once, in small letters: what a search looks through.
fn words_of(text: &str) -> String {
    let lower = text.to_lowercase();
    let separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '(' | ')' | '"' | '`');
    let words = lower.split(separator).map(|word| word.trim_matches(['.', ':', '?', '!']));
    let mut seen = BTreeSet::from([""]);
    words.filter(|word| seen.insert(*word)).collect::<Vec<_>>().join(" ")
}

fn count<T: Ord>(all: impl Iterator<Item = T>) -> BTreeMap<T, usize> {
    all.fold(BTreeMap::new(), |mut counts, one| {
        *counts.entry(one).or_default() += 1;
        counts
    })
}
