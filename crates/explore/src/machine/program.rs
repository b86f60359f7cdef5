//! The machine's copy of the program: nodes and values that others have found, the start, and what to do where the
//! copy ends.

use crate::machine::device::Device;
use crate::machine::footprint::Footprint;
use crate::machine::node::{NONE, Node};
use crate::machine::run::Root;
use crate::machine::scenario::Scenario;
use crate::machine::state::Work;
use crate::machine::step::{Machine, Trouble, lock};

impl<S: Scenario> Machine<'_, '_, S> {
    /// The node after `node` answered by `answer`.
    #[inline]
    pub(crate) fn kid(&mut self, node: u32, answer: u16) -> Result<u32, Box<Trouble>> {
        if let Some(&(first, next)) = self.first_kids.get(node as usize) {
            if first == answer && next != NONE {
                return Ok(next);
            }
        }
        match self.kids.get(&(node, answer)) {
            Some(&next) => Ok(next),
            None => self.grow(node, answer),
        }
    }

    /// The state at power-on, with everything done that runs at once.
    pub(crate) fn start(&mut self) -> Result<Work<S::Device>, Box<Trouble>> {
        let mut work = self.power_on()?;
        self.normalise_all(&mut work)?;
        Ok(work)
    }

    /// Puts every CPU's main code at its start and pending interrupts in place.
    pub(crate) fn power_on(&mut self) -> Result<Work<S::Device>, Box<Trouble>> {
        let cpus = self.layout.cpus;
        let mut work = Work::new(&self.layout, self.scenario.device().reset(cpus));
        for cpu in 0..cpus {
            let node = {
                let mut world = lock(self.world);
                let lines = self.scenario.pending_at_start(cpu);
                work.set_pending(&self.layout, cpu, lines);
                for line in (0..32).filter(|line| lines >> line & 1 != 0) {
                    world.raise_line(cpu as u8, line).map_err(|text| Box::new(Trouble::Stop(text)))?;
                }
                world.start_handlers(&mut self.executor);
                world.root(&mut self.executor, Root::Main { cpu: cpu as u8 })
            };
            self.sync();
            self.current()?;
            self.arrive(&mut work, cpu, node)?;
        }
        for cell in 0..self.layout.cells {
            let initial = lock(self.world).cells.all[cell].word.initial;
            let value = self.encode(initial)?;
            work.set_cell(&self.layout, cell as u16, value);
        }
        self.settle(&mut work)?;
        if self.layout.weak {
            self.wake_readers(&mut work)?;
        } else {
            self.wake(&mut work);
        }
        Ok(work)
    }

    /// The id of a value.
    pub(crate) fn encode(&mut self, value: u64) -> Result<u16, Box<Trouble>> {
        if let Some(id) = self.values.find(value) {
            return Ok(id);
        }
        let id = lock(self.world).encode(value);
        self.sync();
        id.map_err(|text| Box::new(Trouble::Stop(text)))
    }

    #[cold]
    fn grow(&mut self, node: u32, answer: u16) -> Result<u32, Box<Trouble>> {
        let mut world = lock(self.world);
        if self.asks && !world.kids.contains_key(&(node, answer)) {
            return Err(Box::new(Trouble::Unknown(node, answer)));
        }
        let news = world.news;
        let next = world.grow(&mut self.executor, node, answer);
        self.grew |= world.news != news;
        drop(world);
        self.sync();
        // A node with a word that the layout does not know must not be found again in this round.
        self.current()?;
        self.kids.insert((node, answer), next);
        if self.first_kids.len() < self.nodes.len() {
            self.first_kids.resize(self.nodes.len(), (0, NONE));
        }
        let first = &mut self.first_kids[node as usize];
        if first.1 == NONE {
            *first = (answer, next);
        }
        Ok(next)
    }

    fn current(&self) -> Result<(), Box<Trouble>> {
        if lock(self.world).edition == self.layout.edition { Ok(()) } else { Err(Box::new(Trouble::Restart)) }
    }

    /// Copies what other workers have found.
    pub(crate) fn sync(&mut self) {
        let world = lock(self.world);
        self.nodes.extend_from_slice(&world.nodes[self.nodes.len()..]);
        self.footprints.extend_from_slice(&world.footprints[self.footprints.len()..]);
        self.reads.extend_from_slice(&world.reads[self.reads.len()..]);
        self.raised_lines.clone_from(&world.raised_lines);
        self.lines_mask = (0..self.raised_lines.len()).fold(0, |mask, index| mask | 1 << (63 - index));
        self.values.follow(&world.values);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
            + self.footprints.capacity() * size_of::<Footprint>()
            + self.kids.allocation_size()
            + self.values.bytes()
    }
}
