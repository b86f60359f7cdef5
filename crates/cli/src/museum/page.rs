//! The page of one counterexample.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use shootdown_cases::bugs::{Bug, Class, KIT, Needs};
use shootdown_explore::{Action, Memory, Report, Step, Trace};
use shootdown_machine::Case;

use super::code::{self, Difference};
use super::data::{self, Execution};
use super::{prose, words};
use crate::draw;
use crate::names;

const STYLE: &str = include_str!("style.css");
const THEME: &str = include_str!("theme.js");
const SCRIPT: &str = include_str!("page.js");

/// What a page is about.
#[derive(Clone, Copy)]
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
        exhibit.bug.into_iter().flat_map(|bug| bug.code.iter().chain(&KIT)).copied().collect();
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
            (steps(exhibit))
            @if let Some(bug) = exhibit.bug { (sources_of(bug, &execution)) }
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
    fn title(&self) -> &str {
        self.bug.map_or(&self.case.name, |bug| bug.name)
    }
}

fn top(exhibit: &Exhibit<'_>) -> Markup {
    html! {
        header.top {
            @if exhibit.indexed { a.home href="index.html" { "← All bugs" } } @else { span.home { "shootdown" } }
            nav aria-label="On this page" {
                a href="#execution" { "Execution" }
                @if exhibit.bug.is_some() { a href="#code" { "Code" } }
                a href="#again" { "Run it" }
            }
            button #theme.plain type="button" aria-label="Light or dark" title="Light or dark" { "◐" }
        }
    }
}

fn hero(exhibit: &Exhibit<'_>, name: &str) -> Markup {
    html! {
        div.hero {
            p.kicker {
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
                    dt { (if bug.class() == Class::Suspect { "Source" } else { "Mended by" }) } dd { code { (bug.source) } br; (bug.title) }
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
                        "does not have this bug: see case " code { (bug.engine) }
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
        Needs::WeakMemory => "weak memory: old values that are read, or hardware that lags behind its CPU",
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
    let place = step.place.map(|place| format!("{}:{}", data::base(place.file()), place.line()));
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

fn sources_of(bug: &Bug, execution: &Execution) -> Markup {
    let difference = Difference::of(bug);
    let kit = KIT.iter().filter(|(file, _)| execution.enters(file));
    let files: Vec<_> = bug.code.iter().chain(kit).copied().collect();
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
        format!(" --memory {}", names::memory(exhibit.memory))
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
    shootdown::rules::Rule::of(number).map(shootdown::rules::Rule::says)
}
