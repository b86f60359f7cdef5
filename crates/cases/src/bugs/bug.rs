use shootdown_explore::{Memory, Options, Report, Scenario, Verdict, caught};
use shootdown_machine::{Case, Expected, Kind, Machine, Model, OnMachine, Program, Variant, run, run_again};
use std::fmt::Debug;

/// A bug: where it is from, what it takes to show it, and its protocol as it was and as it was mended.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Name of the pair of cases, without the variant: kernel, commit or advisory, subject.
    pub name: &'static str,
    /// Number in the collection of bugs: letter of its [`Class`], and number.
    pub id: &'static str,
    /// The commit or advisory that fixed it.
    pub source: &'static str,
    /// Its title.
    pub title: &'static str,
    /// The kernel or hypervisor.
    pub kernel: &'static str,
    /// Architecture, or `generic`.
    pub arch: &'static str,
    /// Rules SD-n that the broken protocol breaks.
    pub rules: &'static [u8],
    /// What shows it.
    pub needs: Needs,
    /// Memory model of the architecture, used by default.
    pub memory: Memory,
    /// One sentence: what goes wrong.
    pub about: &'static str,
    /// A page of prose for someone who never saw it.
    pub story: &'static str,
    /// How the broken protocol ends, in the oracle's words, or the explorer's if it gets stuck; the explorer's places in the
    /// code (` at FILE:LINE:COLUMN`) may be left out, see [`Bug::ends_as`]. `check` refuses a case that ends otherwise.
    pub ends: &'static str,
    /// The engine's scenario that shows that the engine does not have the bug.
    pub engine: &'static str,
    /// The model's source: file name and text, the case's own file first, then the shapes it shares with others.
    pub code: &'static [(&'static str, &'static str)],
    /// What `check` would object to in the mended protocol, and why it is right: something that it never gives away though the
    /// broken one does (`free table 1`), or a step without which it holds all the same (the name of a
    /// [`Mutant`](super::Mutant)).
    pub argued: &'static [(&'static str, &'static str)],
    /// Builds the protocol, as it was or as it was mended.
    pub build: fn(Variant) -> Box<dyn Protocol>,
}

/// A protocol of a bug. Its debug output shows the values by which the broken and the fixed one differ.
pub trait Protocol: Scenario<Device = Machine> + Debug + Send {}

impl<S: Scenario<Device = Machine> + Debug + Send> Protocol for S {}

/// Makes the protocol of a bug from its program.
pub fn boxed(program: impl Program) -> Box<dyn Protocol> {
    Box::new(OnMachine(program))
}

/// Classes of bugs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// A: CPU masks, borrowing, lazy TLB.
    Mask,
    /// B: ordering between switching in and flushing.
    Ordering,
    /// C: tags and hardware broadcast.
    Tag,
    /// D: flushing against freeing.
    FlushBeforeFree,
    /// E: lifetime by reference counts.
    Lifetime,
    /// F: interrupts, hotplug, paravirtual flushes.
    Interrupt,
    /// G: kernels other than Linux, whatever the mechanism.
    OtherKernel,
    /// H: read in a current kernel, unconfirmed.
    Suspect,
}

/// What it takes to show a bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Interleaving of sequentially consistent steps.
    Interleaving,
    /// Stores that wait in a store buffer.
    StoreBuffer,
    /// Old values that are read though newer ones are there, or hardware that lags behind: see [`Memory::Weak`].
    WeakMemory,
}

impl Class {
    /// All classes, in the order of their letters.
    pub const ALL: [Self; 8] = [
        Self::Mask,
        Self::Ordering,
        Self::Tag,
        Self::FlushBeforeFree,
        Self::Lifetime,
        Self::Interrupt,
        Self::OtherKernel,
        Self::Suspect,
    ];

    /// Returns the letter that ids of this class begin with.
    pub fn letter(self) -> char {
        (b'A' + self as u8) as char
    }

    /// Returns what the class is about, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Mask => "masks, borrowing, lazy TLB",
            Self::Ordering => "switching in against flushing",
            Self::Tag => "tags and broadcast",
            Self::FlushBeforeFree => "flushing against freeing",
            Self::Lifetime => "reference counts",
            Self::Interrupt => "interrupts and hotplug",
            Self::OtherKernel => "other kernels",
            Self::Suspect => "suspects",
        }
    }
}

/// The source of a model as [`Bug::code`] has it: the bug's own file, then those of `protocols` that it shares.
macro_rules! code {
    ($own:literal $(, $shared:literal)*) => {
        &[($own, include_str!($own)) $(, ($shared, include_str!(concat!("../../protocols/", $shared))))*]
    };
}
pub(super) use code;

impl Bug {
    /// A bug that an unlucky interleaving shows, in a protocol that `build` makes for machines with this memory model. The
    /// rest is of Linux on any architecture; [`Bug::problems`] names each field that is left empty.
    pub const fn race(memory: Memory, build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self {
            name: "",
            id: "",
            source: "",
            title: "",
            kernel: "Linux",
            arch: "generic",
            rules: &[],
            needs: Needs::Interleaving,
            memory,
            about: "",
            story: "",
            ends: "",
            engine: "",
            code: &[],
            argued: &[],
            build,
        }
    }

    /// The same of a bug that takes a store that waits in a store buffer.
    pub const fn delayed_store(memory: Memory, build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self { needs: Needs::StoreBuffer, ..Self::race(memory, build) }
    }

    /// The same of a bug that takes weak memory: of machines that reorder more than stores.
    pub const fn weak(build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self { needs: Needs::WeakMemory, ..Self::race(Memory::Weak, build) }
    }

    /// Returns the class that the id begins with; of an id that begins with none, which [`Bug::problems`] names, that of
    /// other kernels.
    pub fn class(&self) -> Class {
        let letter = self.id.chars().next();
        Class::ALL.into_iter().find(|class| Some(class.letter()) == letter).unwrap_or(Class::OtherKernel)
    }

    /// Returns the number of CPUs of the machine that shows it; 0 if there is none, which [`Bug::problems`] says.
    pub fn cpus(&self) -> usize {
        self.model(Variant::Broken).map_or(0, |model| model.cpus())
    }

    /// Builds one variant's protocol.
    ///
    /// # Errors
    /// What the panic says in which that ends.
    pub fn model(&self, variant: Variant) -> Result<Model, String> {
        let model = caught(|| (self.build)(variant))?;
        Ok(Box::new(model))
    }

    /// Makes the two cases of the bug, `NAME/broken` and `NAME/fixed`.
    pub fn cases(&self) -> [Case; 2] {
        [Variant::Broken, Variant::Fixed].map(|variant| self.case(variant))
    }

    /// Makes the case of one variant.
    pub fn case(&self, variant: Variant) -> Case {
        self.case_of(variant, variant)
    }

    /// Makes the case of one variant with the other's protocol in it: a checker that checks must be surprised.
    pub fn swapped(&self, variant: Variant) -> Case {
        let other = if variant == Variant::Broken { Variant::Fixed } else { Variant::Broken };
        self.case_of(variant, other)
    }

    /// Returns whether `words` say that the broken protocol ended as it did, whatever the places in the code.
    pub fn ends_as(&self, words: &str) -> bool {
        without_places(words) == without_places(self.ends)
    }

    fn case_of(&self, variant: Variant, model: Variant) -> Case {
        let (word, expected) = match variant {
            Variant::Broken => ("broken", Expected::Violates),
            _ => ("fixed", Expected::Holds),
        };
        let bug = *self;
        let build = move || bug.model(model).map_err(|panic| format!("the model cannot be built: {panic}"));
        Case {
            name: format!("{}/{word}", self.name),
            kind: if self.class() == Class::Suspect { Kind::Suspect } else { Kind::Bug },
            variant,
            expected,
            memory: self.memory,
            cpus: self.cpus(),
            deep: false,
            groups: &["bugs"],
            about: self.about.to_owned(),
            story: self.story,
            run: Box::new(move |options: &Options<'_>| match build() {
                Ok(model) => run(&model, &Options { survey: true, ..options.clone() }),
                Err(panic) => Report::without_states(Verdict::Panics(panic)),
            }),
            replay: Box::new(move |options, moves| {
                run_again(&build().map_err(|panic| (0, panic))?, options, moves)
            }),
            objections: Box::new(move |report, memory| bug.objections(variant, report, memory)),
        }
    }
}

/// Drops ` at FILE:LINE:COLUMN` wherever it is the end of a clause: lines move with every edit.
fn without_places(words: &str) -> String {
    let clauses = words.split("; ").map(|clause| match clause.rsplit_once(" at ") {
        Some((before, place)) if is_place(place) => before,
        _ => clause,
    });
    clauses.collect::<Vec<_>>().join("; ")
}

fn is_place(text: &str) -> bool {
    let mut parts = text.rsplitn(3, ':');
    let mut number = || parts.next().is_some_and(|part| part.parse::<u32>().is_ok());
    let (column, line) = (number(), number());
    column && line && parts.next().is_some_and(|file| file.ends_with(".rs") && !file.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::without_places;

    #[test]
    fn places_are_dropped_and_other_words_kept() {
        let stuck = "stuck: CPU 0 waits for io at src/a.rs:177:30; CPU 2 is at src/b.rs:2:9";
        assert_eq!(without_places(stuck), "stuck: CPU 0 waits for io; CPU 2 is");
        for words in ["it looks at page 0", "it looks at a.rs", "frame 1, at last: 1:2", "at"] {
            assert_eq!(without_places(words), words);
        }
    }
}
