//! The execution as data for the page's script: what it shows at each step.

use serde::Serialize;
use shootdown_explore::{Buffered, CpuSnapshot, Fact, Snapshot, Standing, Trace, WordSnapshot};
use shootdown_machine::file_name;
use std::collections::HashMap;
use std::panic::Location;

/// All that the script knows.
#[derive(Debug, Serialize)]
pub struct Execution {
    /// For each step, the CPU that makes it and what it does.
    steps: Vec<(usize, String)>,
    /// What went wrong at the end.
    outcome: String,
    words: Vec<WordName>,
    places: Vec<Place>,
    /// At the start and after each step.
    states: Vec<State>,
}

#[derive(Debug, Serialize)]
struct WordName {
    name: String,
    /// Whether it is part of the page tables.
    table: bool,
}

/// A line of code.
#[derive(Debug, Serialize)]
struct Place {
    file: String,
    line: u32,
    /// Its text, where the page has it.
    code: Option<String>,
}

#[derive(Debug, Serialize)]
struct State {
    /// Value, meaning, and whether the memory was given back, for each word.
    words: Vec<(String, Option<String>, bool)>,
    cpus: Vec<Cpu>,
    shared: Vec<(&'static str, Vec<Held>)>,
}

#[derive(Debug, Serialize)]
struct Cpu {
    interrupts: bool,
    pending: Vec<u8>,
    buffer: Vec<String>,
    frames: Vec<Frame>,
    facts: Vec<(&'static str, Vec<Held>)>,
}

#[derive(Debug, Serialize)]
struct Frame {
    line: Option<u8>,
    note: &'static str,
    /// Index into the places.
    place: Option<usize>,
    next: String,
}

/// Something that hardware holds, and whether it is stale or dangling.
type Held = (String, &'static str);

/// Source files by name, for the text of places.
pub type Sources = [(&'static str, &'static str)];

impl Execution {
    /// Collects what `trace` says.
    pub fn new(trace: &Trace, sources: &Sources) -> Self {
        let mut places = Places { sources, known: HashMap::new(), all: Vec::new() };
        let first = trace.snapshots.first();
        let words = first.map_or(&[][..], |snapshot| &snapshot.words);
        let states = trace.snapshots.iter().map(|snapshot| state(snapshot, &mut places)).collect();
        Self {
            steps: trace.steps.iter().map(|step| (step.mov.cpu, step.text.clone())).collect(),
            outcome: trace.outcome.clone(),
            words: words
                .iter()
                .map(|word| WordName { name: word.name.clone(), table: word.meaning.is_some() })
                .collect(),
            places: places.all,
            states,
        }
    }

    /// Whether the execution comes by line `number` of `file`.
    pub fn passes(&self, file: &str, number: usize) -> bool {
        self.places.iter().any(|place| place.file == file && place.line as usize == number)
    }

    /// Whether the execution comes by `file`.
    pub fn enters(&self, file: &str) -> bool {
        self.places.iter().any(|place| place.file == file)
    }

    /// As JSON that may stand inside a script element.
    ///
    /// # Errors
    /// It cannot be written as JSON.
    pub fn json(&self) -> serde_json::Result<String> {
        // The end of the element, and what some parsers take for the beginning of a comment, begin with this.
        Ok(serde_json::to_string(self)?.replace('<', "\\u003c"))
    }
}

/// Lines of code met so far.
struct Places<'s> {
    sources: &'s Sources,
    known: HashMap<(&'static str, u32), usize>,
    all: Vec<Place>,
}

impl Places<'_> {
    fn index(&mut self, location: &'static Location<'static>) -> usize {
        let key = (location.file(), location.line());
        *self.known.entry(key).or_insert_with(|| {
            let (file, line) = (file_name(location), location.line());
            let text = self.sources.iter().find(|(name, _)| *name == file).map(|(_, text)| *text);
            let code = text.and_then(|text| text.lines().nth(line as usize - 1));
            self.all.push(Place {
                file: file.to_owned(),
                line,
                code: code.map(|line| line.trim().to_owned()),
            });
            self.all.len() - 1
        })
    }
}

fn state(snapshot: &Snapshot, places: &mut Places<'_>) -> State {
    State {
        words: snapshot
            .words
            .iter()
            .map(|word| (word.value.clone(), word.meaning.clone().or_else(|| members(word)), word.dead))
            .collect(),
        cpus: snapshot.cpus.iter().map(|one| cpu(one, places)).collect(),
        shared: facts(&snapshot.facts),
    }
}

fn cpu(cpu: &CpuSnapshot, places: &mut Places<'_>) -> Cpu {
    Cpu {
        interrupts: cpu.interrupts,
        pending: cpu.pending.clone(),
        buffer: cpu
            .buffer
            .iter()
            .map(|entry| match entry {
                Buffered::Store { word, value } => format!("{word} := {value}"),
                Buffered::Barrier => "barrier".to_owned(),
            })
            .collect(),
        frames: cpu
            .frames
            .iter()
            .map(|frame| Frame {
                line: frame.line,
                note: frame.note,
                place: frame.place.map(|place| places.index(place)),
                next: frame.next.clone(),
            })
            .collect(),
        facts: facts(&cpu.facts),
    }
}

fn facts(facts: &[Fact]) -> Vec<(&'static str, Vec<Held>)> {
    let standing = |standing| match standing {
        Standing::Sound => "",
        Standing::Stale => "stale",
        Standing::Dangling => "dangling",
    };
    let held = |fact: &Fact| fact.items.iter().map(|i| (i.text.clone(), standing(i.standing))).collect();
    facts.iter().map(|fact| (fact.name, held(fact))).collect()
}

/// The CPUs in a word that holds a mask of them.
fn members(word: &WordSnapshot) -> Option<String> {
    let name = word.name.rsplit('.').next()?;
    if !name.contains("mask") {
        return None;
    }
    let bits = u64::from_str_radix(word.value.strip_prefix("0x")?, 16).ok()?;
    let cpus: Vec<String> = (0..64).filter(|cpu| bits >> cpu & 1 != 0).map(|cpu| cpu.to_string()).collect();
    Some(match cpus.len() {
        0 => "no CPU".to_owned(),
        1 => format!("CPU {}", cpus[0]),
        _ => format!("CPUs {}", cpus.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::{Execution, members};
    use crate::testing::trace;
    use shootdown_explore::WordSnapshot;

    #[test]
    fn a_mask_is_shown_as_the_cpus_in_it() {
        let word = |name: &str, value: &str| WordSnapshot {
            name: name.to_owned(),
            value: value.to_owned(),
            meaning: None,
            dead: false,
        };
        assert_eq!(members(&word("mm.mask", "0x5")).as_deref(), Some("CPUs 0, 2"));
        assert_eq!(members(&word("mm.mask", "0x0")).as_deref(), Some("no CPU"));
        assert_eq!(members(&word("mask.users", "0x5")), None);
    }

    #[test]
    fn the_data_cannot_end_its_element() {
        let trace = trace("</script><!-- x");
        let json = Execution::new(&trace, &[]).json().expect("JSON");
        assert!(!json.contains('<') && json.contains("\\u003c/script>"), "{json}");
    }
}
