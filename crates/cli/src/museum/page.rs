//! The page of one counterexample.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use shootdown_cases::bugs::{Bug, Class, Needs, Right, SOURCES, Stage};
use shootdown_explore::{Action, Memory, Report, Step, Trace};
use shootdown_machine::{Case, Expected, file_name};

use super::code::{self, Difference};
use super::data::Execution;
use super::{links, prose, words};
use crate::draw;
use crate::select::BROKEN;

const STYLE: &str = include_str!("style.css");
const THEME: &str = include_str!("theme.js");
const SCRIPT: &str = include_str!("page.js");

/// What says in a page that this program wrote it.
pub const GENERATOR: &str = "shootdown explain";

/// What a page is about.
#[derive(Clone)]
pub struct Exhibit<'a> {
    /// The case that fails.
    pub case: &'a Case,
    /// The memory model it was run under.
    pub memory: Memory,
    /// What came out, with the execution to step through.
    pub report: &'a Report,
    /// The execution.
    pub trace: &'a Trace,
    /// The bug, if the case is one.
    pub bug: Option<&'a Bug>,
    /// What came out for the bug's mended variant.
    pub fixed: Option<&'a Report>,
    /// What the engine's case that stands for the bug is about.
    pub engine: Option<&'a str>,
    /// Bugs in what mended this one.
    pub later: Vec<&'a Bug>,
    /// What was removed from the engine.
    pub removed: Option<&'a str>,
    /// Whether the page stands in a museum, beside its index.
    pub indexed: bool,
}

/// Renders the page.
///
/// # Errors
/// The execution cannot be written as JSON.
pub fn page(exhibit: &Exhibit<'_>) -> serde_json::Result<String> {
    let name = exhibit.title();
    let known: Vec<_> =
        exhibit.bug.into_iter().flat_map(|bug| bug.code.iter().chain(&SOURCES)).copied().collect();
    let execution = Execution::new(exhibit.trace, &known);
    let data = execution.json()?;
    let body = html! {
        a.skip href="#execution" { "Skip to the execution" }
        (top(exhibit))
        main {
            (hero(exhibit, name))
            div.columns {
                section.story aria-labelledby="story-title" {
                    h2 #story-title { "What happened" }
                    (prose::render(exhibit.case.story))
                }
                (facts(exhibit))
            }
            @if let Some(bug) = exhibit.bug { (chain(bug, exhibit)) }
            (steps(exhibit))
            @if let (Some(bug), Some(stage)) = (exhibit.bug, exhibit.stage()) { (sources_of(bug, &stage, &execution)) }
            (again(exhibit, name))
        }
        script type="application/json" #data { (PreEscaped(data)) }
    };
    Ok(document(name, &exhibit.case.about, &body, SCRIPT))
}

/// Wraps a page's body in all that a page needs; nothing is loaded from elsewhere.
pub fn document(title: &str, about: &str, body: &Markup, script: &str) -> String {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(GENERATOR);
                // Nothing may be loaded, whatever a story says.
                meta http-equiv="Content-Security-Policy"
                    content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                meta name="description" content=(about);
                title { (title) " · shootdown" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
                script { (PreEscaped(THEME)) }
            }
            body {
                (body)
                script { (PreEscaped(script)) }
            }
        }
    }
    .into_string()
}

impl Exhibit<'_> {
    /// The bug's name, which means its broken protocol; of another protocol, the case's.
    fn title(&self) -> &str {
        let named = self.bug.filter(|_| self.stage().is_none_or(|stage| stage.name == BROKEN));
        named.map_or(&self.case.name, |bug| bug.name)
    }

    /// The protocol that fails.
    fn stage(&self) -> Option<Stage> {
        let (_, name) = self.case.name.split_once('/')?;
        self.bug?.stage(name)
    }
}

fn top(exhibit: &Exhibit<'_>) -> Markup {
    html! {
        header.top {
            @if exhibit.indexed { a.home href="index.html" { "← All bugs" } } @else { span.home { "shootdown" } }
            nav aria-label="On this page" {
                a href="#execution" { "Execution" }
                @if exhibit.bug.is_some() { a href="#protocols" { "Protocols" } a href="#code" { "Code" } }
                a href="#again" { "Run it" }
            }
            button #theme.plain type="button" aria-label="Light or dark" title="Light or dark" { "◐" }
        }
    }
}

fn hero(exhibit: &Exhibit<'_>, name: &str) -> Markup {
    html! {
        div.hero {
            p.overline {
                @match exhibit.bug {
                    Some(bug) => { (bug.kernel) " · " (bug.arch) " · " (bug.class().title()) },
                    None => "The engine, without one of its rules",
                }
            }
            h1 { (name) }
            p.lead { (words::sentence(&exhibit.case.about)) }
            @if exhibit.bug.is_some_and(|bug| bug.class() == Class::Suspect) {
                p.banner role="note" {
                    strong { "Unconfirmed. " }
                    "This is how a current kernel reads; it looks wrong, and nobody has confirmed that it is."
                }
            }
            (figures(exhibit))
        }
    }
}

fn figures(exhibit: &Exhibit<'_>) -> Markup {
    let steps = exhibit.trace.steps.len();
    html! {
        ul.figures {
            li.bad {
                b { (if exhibit.bug.is_some() { "Broken" } else { "Fails" }) }
                span { (steps) " steps to failure: " (words::kind(&exhibit.report.verdict)) }
                span.quiet { (words::effort(exhibit.report)) }
            }
            @if let Some(fixed) = exhibit.fixed {
                li.good {
                    b { "Fixed" }
                    span { (words::outcome(fixed)) }
                    span.quiet { (words::effort(fixed)) }
                }
            }
        }
    }
}

fn facts(exhibit: &Exhibit<'_>) -> Markup {
    let machine = words::machine(exhibit.case.cpus, exhibit.memory);
    html! {
        aside.facts aria-label="Facts" {
            dl {
                @if let Some(bug) = exhibit.bug {
                    dt { (if bug.class() == Class::Suspect { "Source" } else { "Mended by" }) } dd { (links::render(bug.source, bug.kernel)) br; (bug.title) }
                    @if bug.year != 0 { dt { "Year" } dd { (bug.year) } }
                    dt { "Number" } dd { (bug.id) ", " (bug.class().title()) }
                    dt { "Kernel" } dd { (bug.kernel) ", " (bug.arch) }
                }
                @if let Some(removed) = exhibit.removed { dt { "Removed" } dd { (removed) } }
                dt { "Machine" } dd { (machine) }
                @if let Some(bug) = exhibit.bug {
                    dt { "Needs" } dd { (needs(bug.needs)) }
                    dt { "Rules broken" }
                    dd {
                        ul.rules {
                            @for &rule in bug.rules {
                                li { b { "SD-" (rule) } " " (rule_text(rule).unwrap_or_default()) }
                            }
                        }
                    }
                    dt { "The engine" }
                    dd {
                        @if bug.duty.is_empty() { "does not have this bug: see case " } @else {
                            "leaves this to its embedder: " (bug.duty) ". The nearest case is "
                        }
                        code { (bug.engine) }
                        @if let Some(about) = exhibit.engine { ", " (about) }
                        "."
                    }
                }
                @if let Some(text) = exhibit.removed.and_then(removed_rule) { dt { "It says" } dd { (text) } }
            }
        }
    }
}

fn removed_rule(name: &str) -> Option<&'static str> {
    rule_text(name.strip_prefix("SD-")?.parse().ok()?)
}

fn needs(needs: Needs) -> &'static str {
    match needs {
        Needs::Interleaving => "an unlucky interleaving; every memory model shows it",
        Needs::StoreBuffer => "stores that wait in a store buffer; not seen under sequential consistency",
        Needs::StoreOrder => "stores that pass each other; not seen under total store order",
        Needs::WeakMemory => "weak memory: old values that are read, or hardware that lags behind its CPU",
    }
}

/// The protocols, the changes that led from one to the next, and where each is right.
fn chain(bug: &Bug, exhibit: &Exhibit<'_>) -> Markup {
    html! {
        section #protocols aria-labelledby="protocols-title" {
            h2 #protocols-title { "The protocols, change by change" }
            div.scrolls role="region" aria-labelledby="protocols-title" tabindex="0" {
                table.chain {
                    thead {
                        tr {
                            th scope="col" { "Protocol" }
                            th scope="col" { "Made by" }
                            @for memory in Right::MODELS {
                                th scope="col" { abbr title=(words::model(memory)) { (memory.name()) } }
                            }
                        }
                    }
                    tbody {
                        @for stage in bug.stages() {
                            @let change = bug.change(&stage);
                            tr {
                                th scope="row" { code { (stage.name) } }
                                td { @if change.is_empty() { span.quiet { "as it was" } } @else { (links::render(&change, bug.kernel)) } }
                                @for memory in Right::MODELS {
                                    @match stage.right.under(memory) {
                                        Expected::Holds => td.good { "holds" },
                                        Expected::Violates => td.bad { "fails" },
                                    }
                                }
                            }
                        }
                    }
                }
            }
            @if !exhibit.later.is_empty() {
                p {
                    "What mended it left a bug of its own, or a part of this one: "
                    @for (at, later) in exhibit.later.iter().enumerate() {
                        @if at > 0 { ", " }
                        @if exhibit.indexed { a href={ (later.name) ".html" } { (later.name) } } @else { code { (later.name) } }
                    }
                    "."
                }
            }
        }
    }
}

fn steps(exhibit: &Exhibit<'_>) -> Markup {
    let steps = exhibit.trace.steps.len();
    html! {
        section #execution aria-labelledby="execution-title" {
            h2 #execution-title { "The execution, step by step" }
            p.quiet {
                "The shortest that fails, out of all there are. Step with the buttons or the keys "
                kbd { "←" } " " kbd { "→" } ", with " kbd { "Home" } " and " kbd { "End" }
                " while the controls have the focus, or choose a step."
            }
            noscript { p.banner { "Stepping needs JavaScript; the steps themselves are all here." } }
            div.stepper #stepper {
                div.bar role="group" aria-label="Steps" {
                    (button("first", "First step", "M3 3h2v10H3zM13 3v10L6 8z"))
                    (button("back", "Step back", "M11 3v10L4 8z"))
                    (button("next", "Step forward", "M5 3v10l7-5z"))
                    (button("last", "Last step", "M11 3h2v10h-2zM3 3v10l7-5z"))
                    input #slider type="range" min="0" max=(steps) value="0" aria-label="Step";
                    output #counter for="slider" { "0 of " (steps) }
                }
                p #now role="status" aria-live="polite" { "At the start" }
                div.panes {
                    (lanes(exhibit))
                    div #state aria-label="The machine after this step" role="region" {}
                }
            }
        }
    }
}

fn button(go: &str, label: &str, path: &str) -> Markup {
    html! {
        button type="button" data-go=(go) aria-label=(label) title=(label) {
            // Drawn, because not every font has these signs.
            svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" { path d=(path) fill="currentColor" {} }
        }
    }
}

/// The steps, one column a CPU.
fn lanes(exhibit: &Exhibit<'_>) -> Markup {
    let trace = exhibit.trace;
    let lanes = draw::lanes(trace, exhibit.case.cpus);
    let last = trace.steps.len();
    html! {
        div.lanes role="region" aria-label="Steps, one column a CPU" tabindex="0" style=(format!("--lanes:{lanes}")) {
            div.names aria-hidden="true" { @for cpu in 0..lanes { span { "CPU " (cpu) } } }
            ol.steps {
                li.start { button type="button" data-step="0" { "Start" } }
                @for ((at, step), note) in trace.steps.iter().enumerate().zip(draw::headings(trace, lanes)) {
                    (one(step, at + 1, note, at + 1 == last && !trace.outcome.is_empty()))
                }
            }
            @if !trace.outcome.is_empty() {
                p.outcome { b { "✗ " } (trace.outcome) }
            }
        }
    }
}

fn one(step: &Step, number: usize, note: Option<&str>, fatal: bool) -> Markup {
    let kind = match step.mov.action {
        Action::Run => "run",
        Action::Older(_) => "older",
        Action::Choose(_) => "choose",
        Action::Drain(_) => "drain",
        Action::Interrupt(_) => "interrupt",
    };
    let place = step.place.map(|place| format!("{}:{}", file_name(place), place.line()));
    html! {
        li class={ (kind) @if fatal { " fatal" } } style=(format!("--at:{number};--cpu:{};--depth:{}", step.mov.cpu, step.depth)) {
            @if let Some(note) = note { span.note { (note) } }
            button type="button" data-step=(number) title=[place] {
                span.number { (number) }
                span.hidden { " CPU " (step.mov.cpu) ": " }
                span.what { (step.text) }
            }
        }
    }
}

fn sources_of(bug: &Bug, stage: &Stage, execution: &Execution) -> Markup {
    let difference = Difference::of(bug, stage);
    let shared = SOURCES.iter().filter(|(file, _)| execution.enters(file));
    let files: Vec<_> = bug.code.iter().chain(shared).copied().collect();
    html! {
        section #code aria-labelledby="code-title" {
            h2 #code-title { "The code, broken and fixed" }
            p.quiet {
                "The model that was run, in Rust. Both protocols are one text; the values that it starts with decide which of the two "
                "runs. Names of these values are coloured below."
            }
            (difference.render())
            p.quiet.legend {
                "The source as it was compiled. A bar marks lines where the execution above makes a step, a dot where a CPU is "
                "at the step chosen there."
            }
            (code::files(&files, &difference.words(), |file, number| execution.passes(file, number)))
        }
    }
}

fn again(exhibit: &Exhibit<'_>, name: &str) -> Markup {
    let memory = if exhibit.memory == exhibit.case.memory {
        String::new()
    } else {
        format!(" --memory {}", exhibit.memory.name())
    };
    let removed = match exhibit.removed {
        Some(rule) if rule.starts_with("SD-") => format!(" --drop-rule {rule}"),
        Some(site) => format!(" --drop-site {site}"),
        None => String::new(),
    };
    html! {
        footer #again {
            h2 { "Run it" }
            pre tabindex="0" {
                code {
                    "shootdown check " (name) (memory) (removed) "\n"
                    "shootdown explain " (name) (memory) (removed) " --state\n"
                    @if let Some(bug) = exhibit.bug { "shootdown check " (bug.engine) "\n" }
                }
            }
        }
    }
}
/// What rule SD-`number` says, if there is one.
fn rule_text(number: u8) -> Option<&'static str> {
    shootdown::trace::rules::Rule::of(number).map(shootdown::trace::rules::Rule::says)
}
