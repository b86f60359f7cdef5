//! What all workers share about the program: cells, values and the trie of histories.
//!
//! A node of the trie stands for a frame that has seen certain answers since it started, or others after which it goes
//! on in the same way (`machine/merge.rs`). It holds the next step. The code runs once for every edge.

use crate::code::coroutine::Event;
use crate::code::image::Fingerprint;
use crate::code::mutation::Mutation;
use crate::code::request::{Act, Request};
use crate::machine::cells::Cells;
use crate::machine::device::Device;
use crate::machine::footprint::{FENCES, Footprint, line_bit};
use crate::machine::hash::{self, Map};
use crate::machine::layout::Layout;
use crate::machine::merge::Known;
use crate::machine::node::{DONE, NONE, Node, RaisedLine, Story, hash_of};
use crate::machine::op::{Gate, Gates, Op};
use crate::machine::registry::Registry;
use crate::machine::resolve::Refusal;
use crate::machine::run::Root;
use crate::machine::run::{Executor, Live, Marks};
use crate::machine::scenario::{Interrupts, Scenario};
use crate::machine::survey::{Did, Site, Survey};
use crate::machine::values::Values;
use crate::machine::violation::Violation;
use crate::options::{Memory, Options};
use std::collections::HashSet;

/// Steps that one frame may take.
const STEPS: u32 = 20_000;
/// Interrupt lines (CPU and line) that may ever be raised.
const MAX_RAISED_LINES: usize = 16;

/// The program as known so far.
pub(crate) struct World<'s, S: Scenario> {
    pub(crate) scenario: &'s S,
    pub(crate) gates: Gates,
    /// Frames that can still look at the same go on as one.
    pub(crate) merge: bool,
    mutation: Option<Mutation>,
    /// First CPU of each CPU's group of interchangeable ones, and whether it has company.
    pub(crate) twins: Vec<(u8, bool)>,
    pub(crate) cells: Cells,
    pub(crate) values: Values,
    pub(crate) nodes: Vec<Node>,
    pub(crate) stories: Vec<Story>,
    pub(crate) reads: Vec<(u16, u16)>,
    pub(crate) footprints: Vec<Footprint>,
    pub(crate) kids: Map<(u32, u16), u32>,
    roots: Map<Root, u32>,
    /// Positions of frames, and the nodes that stand for them.
    pub(crate) positions: Map<Fingerprint, Known>,
    /// Why a node ends the exploration: it goes wrong, or a limit is met.
    wrongs: Map<u32, Violation>,
    limits: Map<u32, String>,
    pub(crate) raised_lines: Vec<RaisedLine>,
    /// Counts changes that need a new layout: cells, objects.
    pub(crate) edition: u32,
    /// Nodes and edges that footprints do not cover, because they were found after the footprints were closed.
    pub(crate) news: u64,
    /// Nodes that do only what their parents were known to do are no news: for programs of which many rounds do not
    /// find the last node. The number of states then depends on the order in which code was run, its completeness does
    /// not.
    pub(crate) lenient: bool,
    /// Some loop can go back.
    pub(crate) loops: bool,
}

impl<'s, S: Scenario> World<'s, S> {
    pub(crate) fn new(scenario: &'s S, options: &Options<'_>) -> Result<Self, String> {
        let mut registry = Registry::default();
        scenario.register(&mut registry);
        let mut world = Self {
            scenario,
            gates: Gates { memory: options.memory },
            merge: options.reductions.merge,
            mutation: options.mutation,
            twins: crate::machine::symmetry::twins(scenario)?,
            cells: Cells::new(registry)?,
            values: Values::default(),
            nodes: Vec::new(),
            stories: Vec::new(),
            reads: Vec::new(),
            footprints: Vec::new(),
            kids: Map::default(),
            roots: Map::default(),
            positions: Map::default(),
            wrongs: Map::default(),
            limits: Map::default(),
            raised_lines: Vec::new(),
            edition: 0,
            news: 0,
            lenient: false,
            loops: false,
        };
        for cell in world.cells.all.clone() {
            world.encode(cell.word.initial)?;
        }
        world.push(Node::plain(Op::Done), Story::first(NONE, 0), Footprint::default());
        Ok(world)
    }

    /// The first node of a frame.
    pub(crate) fn root(&mut self, executor: &mut Executor, root: Root) -> u32 {
        let (twin, anonymous) = self.twins[usize::from(root.cpu())];
        let root = match root {
            Root::Main { .. } => Root::Main { cpu: twin },
            Root::Interrupt { line, .. } => Root::Interrupt { cpu: twin, line },
        };
        if let Some(&node) = self.roots.get(&root) {
            return node;
        }
        let node = self.nodes.len() as u32;
        self.roots.insert(root, node);
        let story = Story::first(node, hash_of(&root));
        match executor.start(self.scenario, root, anonymous, self.mutation) {
            Ok(mut live) => match live.advance(0) {
                Ok(event) => self.settle(executor, live, event, story),
                Err(text) => {
                    executor.keep(live, false);
                    self.wrong_node(story, Violation::Misuse(text))
                }
            },
            Err(text) => self.stop(story, text),
        };
        self.start_handlers(executor);
        node
    }

    /// The node after `parent` answered by `answer`.
    pub(crate) fn grow(&mut self, executor: &mut Executor, parent: u32, answer: u16) -> u32 {
        if let Some(&node) = self.kids.get(&(parent, answer)) {
            return node;
        }
        let (news, raised_lines, first_new) = (self.news, self.raised_lines.len(), self.nodes.len() as u32);
        let story = self.stories[parent as usize].child(parent, answer);
        let node = match executor.take(parent).map_or_else(|| self.replay(executor, parent), Ok) {
            Ok(live) => self.follow(executor, live, story),
            Err(text) => self.wrong_node(story, Violation::Misuse(text)),
        };
        self.news += 1;
        self.kids.insert((parent, answer), node);
        self.start_handlers(executor);
        if self.lenient && self.raised_lines.len() == raised_lines && self.inherit(parent, node, first_new) {
            self.news = news;
        }
        node
    }

    /// Whether `node`, found after the footprints were closed, does only what its parent was known to do later on. If
    /// so it takes over its parent's footprint, which holds until something that follows it does more. `first_new` and
    /// what comes after it are nodes that were not there when the step was made.
    ///
    /// So all that follows a node stays inside its footprint, by induction over the steps made since the footprints
    /// were closed, and inside those of the nodes before it, from which it was inherited: such a node is no news.
    fn inherit(&mut self, parent: u32, node: u32, first_new: u32) -> bool {
        let print = self.footprints[parent as usize];
        if node < first_new {
            return print.contains(&self.footprints[node as usize]);
        }
        let back = self.nodes[node as usize].back;
        // A loop that goes back does again what follows its head.
        let covered = print.contains(&self.footprints[node as usize])
            && (back == NONE || print.contains(&self.footprints[back as usize]));
        if covered {
            self.footprints[node as usize] = print;
        }
        covered
    }

    /// Index of an interrupt line among those that may be raised.
    pub(crate) fn raise_line(&mut self, cpu: u8, line: u8) -> Result<usize, String> {
        if let Some(index) =
            self.raised_lines.iter().position(|raised| (raised.cpu, raised.line) == (cpu, line))
        {
            return Ok(index);
        }
        if self.raised_lines.len() >= MAX_RAISED_LINES {
            return Err(format!("more than {MAX_RAISED_LINES} interrupt lines are raised"));
        }
        self.news += 1;
        self.raised_lines.push(RaisedLine { cpu, line, node: NONE });
        Ok(self.raised_lines.len() - 1)
    }

    /// Runs the first step of handlers whose line has become known.
    pub(crate) fn start_handlers(&mut self, executor: &mut Executor) {
        while let Some(index) = self.raised_lines.iter().position(|raised| raised.node == NONE) {
            let RaisedLine { cpu, line, .. } = self.raised_lines[index];
            // Marks it as started: its own steps may raise further lines.
            self.raised_lines[index].node = DONE;
            self.raised_lines[index].node = self.root(executor, Root::Interrupt { cpu, line });
        }
    }

    /// What a step reads and writes.
    pub(crate) fn access(&self, op: Op) -> Footprint {
        let mut print = Footprint::default();
        match op {
            Op::Load { cell, .. } => print.reads.add(cell.into()),
            Op::Put { cell, .. } | Op::Buffer { cell, .. } => print.writes.add(cell.into()),
            Op::Rmw { cell, .. } => {
                print.reads.add(cell.into());
                print.writes.add(cell.into());
            }
            Op::Order(sides) if sides.full => print.writes.add(FENCES),
            Op::Device { op, gate, .. } if self.gates.memory == Memory::Weak => {
                print.gives = self.scenario.device().facts(op).gives;
                if gate == Gate::Empty {
                    print.writes.add(FENCES);
                }
            }
            Op::Raise { cpu, line } => {
                let same = |raised: &RaisedLine| (raised.cpu, raised.line) == (cpu, line);
                if let Some(index) = self.raised_lines.iter().position(same) {
                    print.writes.add(line_bit(index));
                }
            }
            // Giving memory back conflicts with every access to it.
            Op::Retire(object) => {
                print.retires = 1 << object;
                for (id, cell) in self.cells.all.iter().enumerate() {
                    if cell.objects >> object & 1 != 0 {
                        print.writes.add(id);
                    }
                }
            }
            _ => {}
        }
        print
    }

    /// Where everything lies in a state, as far as cells are known.
    pub(crate) fn layout(&self, options: &Options<'_>) -> Layout {
        let mixed: Vec<bool> = self.twins.iter().map(|&(_, company)| company).collect();
        let nesting = usize::from(options.nesting);
        let layout = Layout::new(&self.cells, self.edition, self.scenario.cpus(), nesting, &mixed);
        let weak = options.memory == Memory::Weak;
        let reorders = layout.cpus > 2 || self.scenario.interrupts() == Interrupts::Overtake;
        Layout { weak, lags: self.scenario.device().walks_lag(), reorders, ..layout }
    }

    /// Groups of interchangeable CPUs.
    pub(crate) fn groups(&self) -> Vec<Vec<usize>> {
        let members = |first: usize| {
            let twins = self.twins.iter().enumerate();
            twins.filter(|&(_, twin)| *twin == (first as u8, true)).map(|(cpu, _)| cpu).collect::<Vec<_>>()
        };
        (0..self.twins.len()).map(members).filter(|group| group.len() > 1).collect()
    }

    /// Text for a node that ends an exploration.
    pub(crate) fn text(&self, node: u32) -> String {
        let wrong = self.wrongs.get(&node).map(Violation::words);
        wrong.or(self.limits.get(&node).map(String::as_str)).unwrap_or_default().to_owned()
    }

    /// What a node that ends in one says is wrong.
    pub(crate) fn wrong(&self, node: u32) -> Violation {
        self.wrongs.get(&node).cloned().unwrap_or_else(|| Violation::Panic(String::new()))
    }

    /// What the code did in some execution, and where; and words that are part of no registered object.
    pub(crate) fn survey(&self) -> Survey {
        let site = |story: &Story| {
            let request = story.request?;
            let did = match request.act {
                Act::Load(_, order) => Did::Load(order),
                Act::Store(_, _, order) => Did::Store(order),
                Act::Rmw(_, _, order, _) => Did::Modify(order),
                Act::Fence(order) => Did::Fence(order),
                Act::Raise(cpu, line) => Did::Raise { cpu, line },
                Act::Device(op) => Did::Device(op),
                Act::WaitFalse => Did::Wait,
                _ => Did::Other,
            };
            Some(Site { place: request.place, did })
        };
        let sites: HashSet<Site> = self.stories.iter().filter_map(site).collect();
        let mut sites: Vec<Site> = sites.into_iter().collect();
        sites.sort_by_key(|site| (site.place, format!("{:?}", site.did)));
        let (unnamed, alike) = self.cells.unnamed();
        Survey { sites, unnamed, alike }
    }

    /// Replays the history of `node` on a new run.
    pub(crate) fn replay(&self, executor: &mut Executor, node: u32) -> Result<Live, String> {
        let mut path = vec![node];
        while self.stories[path[path.len() - 1] as usize].parent != NONE {
            path.push(self.stories[path[path.len() - 1] as usize].parent);
        }
        let root = self.root_of(node);
        let (twin, anonymous) = self.twins[usize::from(root.cpu())];
        debug_assert_eq!(twin, root.cpu());
        let mut live = executor.start(self.scenario, root, anonymous, self.mutation)?;
        let result = self.walk(&mut live, &path);
        live.node = node;
        match result {
            Ok(()) => Ok(live),
            Err(text) => {
                executor.keep(live, false);
                Err(text)
            }
        }
    }

    /// Runs code again along histories that it was led along before, some `most` steps of them, and says so if it does
    /// otherwise.
    ///
    /// # Errors
    /// What it did before, and now.
    pub(crate) fn repeat(&mut self, executor: &mut Executor, most: u64) -> Result<(), String> {
        let mut ends = vec![true; self.nodes.len()];
        self.kids.keys().for_each(|&(parent, _)| ends[parent as usize] = false);
        let ends: Vec<u32> =
            (DONE + 1..self.nodes.len() as u32).filter(|&node| ends[node as usize]).collect();
        let steps: u64 = ends.iter().map(|&node| u64::from(self.stories[node as usize].position) + 1).sum();
        for &node in ends.iter().step_by((steps / most) as usize + 1) {
            if matches!(self.nodes[node as usize].op, Op::Panicked | Op::Stop) {
                continue;
            }
            let live = self.replay(executor, node)?;
            executor.keep(live, false);
        }
        Ok(())
    }

    /// Leads a new run along `path` (last node first).
    fn walk(&self, live: &mut Live, path: &[u32]) -> Result<(), String> {
        let mut answer = 0;
        for (step, &node) in path.iter().rev().enumerate() {
            if step > 0 {
                live.answered();
                answer = self.values.decode(self.stories[node as usize].answer);
            }
            let event = live.advance(answer)?;
            let known = self.stories[node as usize].request;
            let now = match event {
                Event::Asked(request) => Some(request),
                Event::Returned | Event::Demanded(_) | Event::Panicked(_) => None,
            };
            if now != known {
                return Err(fickle(known.as_ref(), now.as_ref()));
            }
        }
        Ok(())
    }

    /// Gives a run its answer and makes the node that it leads to, or finds it.
    fn follow(&mut self, executor: &mut Executor, mut live: Live, story: Story) -> u32 {
        live.answered();
        let event = match live.advance(self.values.decode(story.answer)) {
            Ok(event) => event,
            Err(text) => {
                executor.keep(live, false);
                return self.wrong_node(story, Violation::Misuse(text));
            }
        };
        self.settle(executor, live, event, story)
    }

    /// Makes the node for what a run asks now, unless there is one that stands for it.
    fn settle(&mut self, executor: &mut Executor, mut live: Live, event: Event, mut story: Story) -> u32 {
        let id = self.nodes.len() as u32;
        if self.merge {
            let position = self.position(&live, &event, &story);
            story.hash = position.half();
            if let Some(node) = self.meet(executor, &live, &event, position) {
                executor.keep(live, false);
                return node;
            }
        } else {
            story.hash = hash::finish(hash::mix(story.hash, self.values.decode(story.answer)));
        }
        story.position = live.marks.position;
        story.note = live.marks.note;
        let marks = live.marks.clone();
        live.node = id;
        executor.keep(live, matches!(event, Event::Asked(_)));
        match event {
            Event::Returned => self.push_plain(Op::Done, story),
            Event::Demanded(words) => self.wrong_node(story, words.into()),
            Event::Panicked(text) => self.wrong_node(story, Violation::Panic(text)),
            Event::Asked(request) => {
                story.place = Some(request.place);
                story.request = Some(request);
                if story.position > STEPS {
                    return self.wrong_node(story, Violation::Misuse(endless(&request)));
                }
                match self.resolve(request) {
                    Ok(op) => self.push_step(op, story, &marks),
                    Err(Refusal::Misuse(text)) => self.wrong_node(story, Violation::Misuse(text)),
                    Err(Refusal::Limit(text)) => self.stop(story, text),
                }
            }
        }
    }

    fn push_step(&mut self, op: Op, story: Story, marks: &Marks) -> u32 {
        let mut node = Node::plain(op);
        let id = self.nodes.len() as u32;
        let path = |from: u32| {
            let mut path = vec![id];
            let mut above = story.parent;
            for _ in from..story.position {
                path.push(above);
                above = self.stories[above as usize].parent;
            }
            path
        };
        node.begins_wait = marks.wait == Some(story.position);
        match op {
            Op::LoopBack => {
                let from = marks.loops.last().copied().unwrap_or(story.position);
                node.back = path(from)[(story.position - from) as usize];
                self.loops = true;
            }
            Op::WaitFalse => {
                let from = marks.wait.unwrap_or(story.position);
                let path = path(from);
                node.back = path[path.len() - 1];
                let start = self.reads.len() as u32;
                let answers = std::iter::once(story.answer)
                    .chain(path[1..].iter().map(|&node| self.stories[node as usize].answer));
                for (&above, answer) in path[1..].iter().zip(answers) {
                    if let Op::Load { cell, .. } = self.nodes[above as usize].op {
                        self.reads.push((cell, answer));
                    }
                }
                node.reads = (start, (self.reads.len() as u32 - start) as u16);
                node.instant = path.len() == 2 && node.reads.1 == 1;
            }
            _ => {}
        }
        self.push_new(node, story)
    }

    fn push_plain(&mut self, op: Op, story: Story) -> u32 {
        self.push_new(Node::plain(op), story)
    }

    fn stop(&mut self, story: Story, text: String) -> u32 {
        self.limits.insert(self.nodes.len() as u32, text);
        self.push_plain(Op::Stop, story)
    }

    fn wrong_node(&mut self, story: Story, violation: Violation) -> u32 {
        self.wrongs.insert(self.nodes.len() as u32, violation);
        self.push_plain(Op::Panicked, story)
    }

    /// A new node is news: footprints that were closed without it do not count any more. It may well do only what its
    /// parent was known to do later on; but then the footprints of a round, and with them the number of its states,
    /// would depend on who had found what before.
    fn push_new(&mut self, node: Node, story: Story) -> u32 {
        self.news += 1;
        let footprint = self.access(node.op);
        self.push(node, story, footprint)
    }

    fn push(&mut self, node: Node, story: Story, footprint: Footprint) -> u32 {
        self.nodes.push(node);
        self.stories.push(story);
        self.footprints.push(footprint);
        self.nodes.len() as u32 - 1
    }

    pub(crate) fn root_of(&self, node: u32) -> Root {
        self.entry(self.stories[node as usize].root)
    }

    /// The entry whose first node is `first`.
    pub(crate) fn entry(&self, first: u32) -> Root {
        let find = self.roots.iter().find(|&(_, &node)| node == first);
        find.map_or(Root::Main { cpu: 0 }, |(&root, _)| root)
    }

    /// The request of a node as the code made it.
    pub(crate) fn act(&self, node: u32) -> Option<Act> {
        self.stories[node as usize].request.map(|request| request.act)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.stories.capacity() * size_of::<Story>()
            + self.footprints.capacity() * size_of::<Footprint>()
            + self.kids.allocation_size()
            + self.values.bytes()
    }
}

/// The message about code that once made one request and once the other after the same history.
fn fickle(once: Option<&Request>, now: Option<&Request>) -> String {
    let words = |request: Option<&Request>| request.map_or("its end".to_owned(), Request::to_string);
    format!(
        "the model is not deterministic: after the same answers it came once to {}, and once to {}; all that changes \
         while it runs belongs in a `sync::Word`, and a choice is `sync::choose`",
        words(once),
        words(now)
    )
}

/// The message about a frame that goes on and on.
fn endless(request: &Request) -> String {
    let place = request.place;
    format!(
        "{place}: a frame does not end: more than {STEPS} steps; a loop that waits for a word to change is \
         `sync::wait_until(|| ...)`, one that tries again until it succeeds is `sync::retry(|| ...)`"
    )
}
