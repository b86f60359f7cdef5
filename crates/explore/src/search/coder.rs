//! States as keys: one id per part, and back.

use crate::machine::device::Device;
use crate::machine::hash;
use crate::machine::layout::{CPUS, Layout};
use crate::machine::state::Work;
use crate::machine::step::lock;
use crate::search::intern::{Records, Texts, Typed};
use std::sync::Mutex;

/// The tables behind the ids of one round.
#[derive(Debug)]
pub(crate) struct Authority<D: Device> {
    shared: Mutex<Records>,
    local: Mutex<Records>,
    shared_device: Mutex<Typed<D::Shared>>,
    local_device: Mutex<Typed<D::Local>>,
    weak: Mutex<Texts>,
}

impl<D: Device> Authority<D> {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            shared: Mutex::new(Records::new(layout.shared)),
            local: Mutex::new(Records::new(layout.local)),
            shared_device: Mutex::new(Typed::new()),
            local_device: Mutex::new(Typed::new()),
            weak: Mutex::default(),
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        lock(&self.shared).bytes(true)
            + lock(&self.local).bytes(true)
            + lock(&self.shared_device).bytes()
            + lock(&self.local_device).bytes()
            + lock(&self.weak).bytes(true)
    }
}

/// One worker's copy of the tables.
pub(crate) struct Coder<'a, D: Device> {
    authority: &'a Authority<D>,
    layout: Layout,
    /// Groups of interchangeable CPUs whose parts are kept in order.
    groups: Vec<Vec<usize>>,
    shared: Records,
    local: Records,
    shared_device: Typed<D::Shared>,
    local_device: Typed<D::Local>,
    weak: Texts,
    record: Vec<u16>,
}

impl<'a, D: Device> Coder<'a, D> {
    pub(crate) fn new(authority: &'a Authority<D>, layout: &Layout, groups: Vec<Vec<usize>>) -> Self {
        Self {
            authority,
            layout: layout.clone(),
            groups,
            shared: Records::new(layout.shared),
            local: Records::new(layout.local),
            shared_device: Typed::new(),
            local_device: Typed::new(),
            weak: Texts::default(),
            record: Vec::new(),
        }
    }

    /// Unfolds a key.
    pub(crate) fn decode(&mut self, key: &[u32], work: &mut Work<D>) {
        if key[0] >= self.shared.len() || key[1..].iter().any(|&id| id >= self.local.len()) {
            self.follow();
        }
        let unfolded = self.unfolded_weak(work);
        for (index, &id) in key.iter().enumerate() {
            let record = if index == 0 { self.shared.record(id) } else { self.local.record(id) };
            work.words[self.layout.part(index)].copy_from_slice(record);
        }
        let id = work.device_id(&self.layout, None) as usize;
        if id >= self.shared_device.all.len() {
            self.follow();
        }
        work.shared = self.shared_device.all[id];
        for cpu in 0..self.layout.cpus {
            let id = work.device_id(&self.layout, Some(cpu)) as usize;
            if id >= self.local_device.all.len() {
                self.follow();
            }
            work.locals[cpu] = self.local_device.all[id];
        }
        if self.layout.weak {
            self.decode_weak(work, &unfolded);
        }
        work.dirty = 0;
        work.fresh = 0;
        work.stirred = false;
        work.device = false;
    }

    /// Folds a state into `key`; parts that it has not touched keep the ids of `base`.
    #[inline]
    pub(crate) fn encode(&mut self, work: &mut Work<D>, base: Option<(&[u32], &Work<D>)>, key: &mut [u32]) {
        if work.device {
            self.encode_device(work, base.map(|(_, work)| work));
        }
        if self.layout.weak && work.weak.changed {
            self.encode_weak(work, base.map(|(_, work)| work));
        }
        for index in 0..key.len() {
            key[index] = match base {
                Some((known, _)) if work.dirty >> index & 1 == 0 => known[index],
                _ => self.part(index, &work.words[self.layout.part(index)]),
            };
        }
        for group in &self.groups {
            sort_at(key, group);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.shared.bytes(false)
            + self.local.bytes(false)
            + self.shared_device.bytes()
            + self.local_device.bytes()
            + self.weak.bytes(false)
    }

    #[inline]
    fn part(&mut self, index: usize, record: &[u16]) -> u32 {
        let hash = hash::of_record(record);
        let table = if index == 0 { &mut self.shared } else { &mut self.local };
        if let Ok(id) = table.find(record, hash) {
            return id;
        }
        let authority = if index == 0 { &self.authority.shared } else { &self.authority.local };
        let mut authority = lock(authority);
        let id = authority.intern(record, hash);
        table.follow(&authority);
        id
    }

    fn encode_device(&mut self, work: &mut Work<D>, base: Option<&Work<D>>) {
        if base.is_none_or(|base| base.shared != work.shared) {
            let id = self.shared_device.find(&work.shared).unwrap_or_else(|| {
                let mut authority = lock(&self.authority.shared_device);
                let id = authority.intern(work.shared);
                self.shared_device.follow(&authority);
                id
            });
            work.set_device_id(&self.layout, None, id);
        }
        for cpu in 0..self.layout.cpus {
            let value = work.locals[cpu];
            if base.is_none_or(|base| base.locals[cpu] != value) {
                let id = self.local_device.find(&value).unwrap_or_else(|| {
                    let mut authority = lock(&self.authority.local_device);
                    let id = authority.intern(value);
                    self.local_device.follow(&authority);
                    id
                });
                work.set_device_id(&self.layout, Some(cpu), id);
            }
        }
    }

    /// Memory and the views of each CPU are records apart.
    fn encode_weak(&mut self, work: &mut Work<D>, base: Option<&Work<D>>) {
        for cpu in core::iter::once(None).chain((0..self.layout.cpus).map(Some)) {
            let known = base.is_some_and(|base| match cpu {
                None => work.weak.has_memory_of(&base.weak),
                Some(cpu) => work.weak.has_views_of(&base.weak, cpu),
            });
            if known {
                continue;
            }
            match cpu {
                None => work.weak.write_memory(&mut self.record),
                Some(cpu) => work.weak.write_cpu(cpu, &mut self.record),
            }
            let id = self.weak.find(&self.record).unwrap_or_else(|| {
                let mut authority = lock(&self.authority.weak);
                let id = authority.intern(&self.record);
                self.weak.follow(&authority);
                id
            });
            work.set_weak_id(&self.layout, cpu, id);
        }
    }

    /// The ids of memory and of each CPU's views that a state holds, if nothing has changed since they were unfolded.
    fn unfolded_weak(&self, work: &Work<D>) -> [Option<u32>; CPUS + 1] {
        let mut ids = [None; CPUS + 1];
        if self.layout.weak && !work.weak.changed {
            ids[0] = Some(work.weak_id(&self.layout, None));
            (0..self.layout.cpus).for_each(|cpu| ids[cpu + 1] = Some(work.weak_id(&self.layout, Some(cpu))));
        }
        ids
    }

    fn decode_weak(&mut self, work: &mut Work<D>, unfolded: &[Option<u32>; CPUS + 1]) {
        for cpu in core::iter::once(None).chain((0..self.layout.cpus).map(Some)) {
            let id = work.weak_id(&self.layout, cpu);
            if unfolded[cpu.map_or(0, |cpu| cpu + 1)] == Some(id) {
                continue;
            }
            if id >= self.weak.len() {
                self.follow();
            }
            match cpu {
                None => work.weak.read_memory(self.weak.record(id)),
                Some(cpu) => work.weak.read_cpu(cpu, self.weak.record(id)),
            }
        }
        work.weak.changed = false;
    }

    #[cold]
    fn follow(&mut self) {
        self.shared.follow(&lock(&self.authority.shared));
        self.local.follow(&lock(&self.authority.local));
        self.shared_device.follow(&lock(&self.authority.shared_device));
        self.local_device.follow(&lock(&self.authority.local_device));
        self.weak.follow(&lock(&self.authority.weak));
    }
}

/// Sorts the ids of a group's CPUs. Ids are unique within a run, so equal multisets give equal keys.
#[inline]
fn sort_at(key: &mut [u32], group: &[usize]) {
    for last in 1..group.len() {
        let mut at = last;
        while at > 0 && key[group[at] + 1] < key[group[at - 1] + 1] {
            key.swap(group[at] + 1, group[at - 1] + 1);
            at -= 1;
        }
    }
}
