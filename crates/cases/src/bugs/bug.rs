use super::stage::{Right, Stage};
use shootdown_explore::{Memory, Options, Report, Scenario, Verdict, built, caught, named};
use shootdown_machine::{Case, Expected, Kind, Model, Protocol, Sketch, Variant, run, run_again};

/// A bug: where it is from, what it takes to show it, and its protocols: as it was, as it was mended, and what else
/// upstream had.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// Name of the cases, without the protocol: kernel, commit or advisory, subject.
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
    /// The year in which the fix was merged; of what has none, in which it was read. 0 where nobody looked.
    pub year: u16,
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
    /// How the broken protocol ends, in the oracle's words, or the explorer's if it gets stuck; the explorer's places
    /// in the code (` at FILE:LINE:COLUMN`) may be left out, see [`ends_as`](shootdown_machine::objections::ends_as).
    /// `check` refuses a case that ends otherwise.
    pub ends: &'static str,
    /// The engine's scenario that shows that the engine does not have the bug: it fails without one of [`Bug::rules`]
    /// or one of the engine's orderings, or [`Bug::duty`] says why it cannot.
    pub engine: &'static str,
    /// Why none of the rules is the engine's to keep here: what the embedder has to do.
    pub duty: &'static str,
    /// The model's source: file name and text, the case's own file first, then the shapes it shares with others.
    pub code: &'static [(&'static str, &'static str)],
    /// What `check` would object to in the mended protocol, and why it is right: something that it never gives away
    /// though the broken one does (`free table 1`), or a step without which it holds all the same (the name of a
    /// [`Mutant`](super::Mutant)).
    pub argued: &'static [(&'static str, &'static str)],
    /// The weakest memory model under which the mended protocol is right. A fix for one architecture may hold on that
    /// one alone.
    pub fixed_under: Memory,
    /// All protocols in the order in which upstream had them, where there are more than two: see [`Stage`].
    pub chain: &'static [Stage],
    /// Builds the protocol, as it was or as it was mended.
    pub build: fn(Variant) -> Box<dyn Protocol>,
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
    /// Stores that pass each other.
    StoreOrder,
    /// Old values that are read though newer ones are there, or hardware that lags behind: see [`Memory::Weak`].
    WeakMemory,
}

impl Needs {
    /// Returns where a protocol with such a bug is right all the same.
    fn right(self) -> Right {
        match self {
            Self::Interleaving => Right::Nowhere,
            Self::StoreBuffer => Right::UpTo(Memory::Sc),
            Self::StoreOrder => Right::UpTo(Memory::Tso),
            Self::WeakMemory => Right::UpTo(Memory::Pso),
        }
    }
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

/// The bugs of a class, by the names of their modules: each with the story beside it and, unless it shares code with
/// others, its own file as its source.
macro_rules! bugs {
    ($($module:ident),* $(,)?) => {
        &[$($module::BUG.of_files(
            include_str!(concat!(stringify!($module), ".md")),
            &[(concat!(stringify!($module), ".rs"), include_str!(concat!(stringify!($module), ".rs")))],
        )),*]
    };
}
pub(super) use bugs;

/// The source of a model that shares code with others, as [`Bug::code`] has it: the bug's own file, then those of
/// `protocols`.
macro_rules! code {
    ($own:literal $(, $shared:literal)+) => {
        &[($own, include_str!($own)) $(, ($shared, include_str!(concat!("../../protocols/", $shared))))+]
    };
}
pub(super) use code;

impl Bug {
    /// A bug that an unlucky interleaving shows, in a protocol that `build` makes for machines with this memory model:
    /// the short form of a chain of two, `broken` and `fixed`. The rest is of Linux on any architecture;
    /// [`Bug::problems`] names each field that is left empty.
    pub const fn race(memory: Memory, build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self {
            name: "",
            id: "",
            source: "",
            title: "",
            kernel: "Linux",
            arch: "generic",
            year: 0,
            rules: &[],
            needs: Needs::Interleaving,
            memory,
            about: "",
            story: "",
            ends: "",
            engine: "",
            duty: "",
            code: &[],
            argued: &[],
            fixed_under: Memory::Weak,
            chain: &[],
            build,
        }
    }

    /// The same of a bug that takes a store that waits in a store buffer.
    pub const fn delayed_store(memory: Memory, build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self { needs: Needs::StoreBuffer, ..Self::race(memory, build) }
    }

    /// The same of a bug that takes two stores that pass each other.
    pub const fn passing_stores(build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self { needs: Needs::StoreOrder, ..Self::race(Memory::Pso, build) }
    }

    /// The same of a bug that takes weak memory: of machines that reorder more than stores.
    pub const fn weak(build: fn(Variant) -> Box<dyn Protocol>) -> Self {
        Self { needs: Needs::WeakMemory, ..Self::race(Memory::Weak, build) }
    }

    /// The bug of a sketch, to which the fields of the collection are added: `id`, `source`, `title`, `kernel`, `arch`,
    /// `rules`, `about`, `story`, `ends` and `engine`.
    pub const fn of(sketch: Sketch) -> Self {
        let Sketch { name, about, memory, ends, code, build } = sketch;
        Self { name, about, ends, code, ..Self::race(memory, build) }
    }

    /// Adds the story, and the source where the bug names none.
    pub(super) const fn of_files(
        self,
        story: &'static str,
        code: &'static [(&'static str, &'static str)],
    ) -> Self {
        Self { story, code: if self.code.is_empty() { code } else { self.code }, ..self }
    }

    /// Returns the bug without the fields of the collection.
    pub fn sketch(&self) -> Sketch {
        let Self { name, about, memory, ends, code, build, .. } = *self;
        Sketch { name, about, memory, ends, code, build }
    }

    /// Returns the class that the id begins with; of an id that begins with none, which [`Bug::problems`] names, that
    /// of other kernels.
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
        let _named = named(self.name);
        built(|| caught(|| (self.build)(variant)))
    }

    /// Builds the protocol of `stage`.
    ///
    /// # Errors
    /// What the panic says in which that ends.
    pub fn model_of(&self, stage: &Stage) -> Result<Model, String> {
        let _named = named(self.name);
        built(|| caught(|| self.protocol(stage)))
    }

    /// Builds the protocol of `stage`, which may panic.
    pub fn protocol(&self, stage: &Stage) -> Box<dyn Protocol> {
        match (stage.variant, stage.build) {
            (None, Some(build)) => build(),
            (variant, _) => (self.build)(variant.unwrap_or(Variant::Broken)),
        }
    }

    /// Returns the protocols in the order in which upstream had them.
    pub fn stages(&self) -> Vec<Stage> {
        let pair = [Stage::broken(""), Stage::FIXED];
        let chain = if self.chain.is_empty() { &pair } else { self.chain };
        chain.iter().map(|stage| self.resolve(*stage)).collect()
    }

    /// Fills in what the header says of the broken and the mended protocol.
    fn resolve(&self, stage: Stage) -> Stage {
        match stage.variant {
            Some(Variant::Broken) => Stage { right: self.needs.right(), ends: self.ends, ..stage },
            Some(_) => Stage { right: Right::UpTo(self.fixed_under), ..stage },
            None => stage,
        }
    }

    /// Returns the change that made the protocol of `stage` of the one before: commit and title. Empty for the first.
    pub fn change(&self, stage: &Stage) -> String {
        match stage.variant {
            Some(Variant::Fixed) if stage.change.is_empty() => format!("{} {}", self.source, self.title),
            _ => stage.change.to_owned(),
        }
    }

    /// Returns the protocol called `name`.
    pub fn stage(&self, name: &str) -> Option<Stage> {
        self.stages().into_iter().find(|stage| stage.name == name)
    }

    /// Makes the cases of the bug, `NAME/PROTOCOL` each.
    pub fn cases(&self) -> Vec<Case> {
        self.stages().into_iter().map(|stage| self.case(stage)).collect()
    }

    /// Makes the case of one protocol.
    pub fn case(&self, stage: Stage) -> Case {
        self.case_of(stage, stage)
    }

    /// Makes the case of one protocol with another in it that must come out otherwise: a checker that checks must be
    /// surprised.
    pub fn swapped(&self, stage: Stage) -> Case {
        let other = match stage.right.under(self.memory) {
            Expected::Holds => Stage::broken(""),
            Expected::Violates => Stage::FIXED,
        };
        self.case_of(stage, other)
    }

    fn case_of(&self, stage: Stage, model: Stage) -> Case {
        let bug = *self;
        let build =
            move || bug.model_of(&model).map_err(|panic| format!("the model cannot be built: {panic}"));
        let expected = stage.right.under(self.memory);
        Case {
            name: format!("{}/{}", self.name, stage.name),
            kind: if self.class() == Class::Suspect { Kind::Suspect } else { Kind::Bug },
            variant: match expected {
                Expected::Violates => Variant::Broken,
                Expected::Holds => Variant::Fixed,
            },
            expected,
            stated: Right::MODELS.map(|memory| (memory, stage.right.under(memory))).to_vec(),
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
            objections: Box::new(move |report, memory| bug.objections(&stage, report, memory)),
            unreached: Box::new(move |report| bug.unreached(&stage, report)),
        }
    }
}
