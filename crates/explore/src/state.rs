//! The working state: one flat array of 16-bit words, part by part, and the device's values beside it.
//!
//! Part 0 is what CPUs share (dead objects, the device's shared state, cells); part `cpu + 1` is one CPU (frames,
//! interrupts, store buffer, the device's local state, cells that mostly this CPU uses). Each part's length is a
//! multiple of four, so that it hashes as 64-bit chunks.

use crate::cells::Cells;
use crate::device::Device;
use crate::world::DONE;

/// Entries of a store buffer.
pub(crate) const BUFFER: usize = 8;
/// Interrupt frames on one CPU at most.
pub(crate) const NESTING: usize = 7;
/// CPUs of a machine.
pub(crate) const CPUS: usize = 8;

/// Entry flags beside the cell: a release store, a barrier.
pub(crate) const RELEASE: u16 = 0x8000;
pub(crate) const BARRIER: u16 = 0x4000;
const CELL: u16 = 0x0fff;

// Offsets in the shared part.
const DEAD: usize = 0;
const SHARED_DEVICE: usize = 4;
const SHARED_CELLS: usize = 6;
// Offsets in a CPU's part.
const STATUS: usize = 0;
const PENDING: usize = 1;
const LOCAL_DEVICE: usize = 3;
const URGENT: usize = 5;
const STACK: usize = 6;

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) cpus: usize,
    pub(crate) cells: usize,
    pub(crate) watched: usize,
    pub(crate) edition: u32,
    /// Length of the shared part and of each CPU's.
    pub(crate) shared: usize,
    pub(crate) local: usize,
    buffer: usize,
    /// Word index of each cell, and its part.
    slots: Vec<(u16, u8)>,
    /// Objects around each cell.
    pub(crate) objects: Vec<u64>,
}

impl Layout {
    /// Lays `cells` out; `mixed` are CPUs whose part must not hold cells.
    pub(crate) fn new(cells: &Cells, edition: u32, cpus: usize, nesting: usize, mixed: &[bool]) -> Self {
        let buffer = STACK + 2 * (nesting + 1);
        let first = buffer + 2 * BUFFER;
        let home =
            |id: usize| cells.all[id].cpu.filter(|&cpu| cpu < cpus && !mixed[cpu] && id >= cells.watched);
        let mut used = vec![first; cpus];
        let mut shared = SHARED_CELLS;
        let mut places = Vec::new();
        for id in 0..cells.all.len() {
            let next = home(id).map_or(&mut shared, |cpu| &mut used[cpu]);
            places.push(*next);
            *next += 1;
        }
        let shared = shared.next_multiple_of(4);
        let local = used.iter().max().map_or(first, |&most| most).next_multiple_of(4);
        let slots = places
            .iter()
            .enumerate()
            .map(|(id, &place)| match home(id) {
                Some(cpu) => ((shared + cpu * local + place) as u16, cpu as u8 + 1),
                None => (place as u16, 0),
            })
            .collect();
        Self {
            cpus,
            cells: cells.all.len(),
            watched: cells.watched,
            edition,
            shared,
            local,
            buffer,
            slots,
            objects: cells.all.iter().map(|cell| cell.objects).collect(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shared + self.cpus * self.local
    }

    /// The words of one part.
    #[inline]
    pub(crate) fn part(&self, index: usize) -> core::ops::Range<usize> {
        if index == 0 {
            0..self.shared
        } else {
            let start = self.shared + (index - 1) * self.local;
            start..start + self.local
        }
    }

    #[inline]
    fn cpu(&self, cpu: usize) -> usize {
        self.shared + cpu * self.local
    }

    /// The value id of a cell in memory.
    #[inline]
    pub(crate) fn cell(&self, words: &[u16], cell: u16) -> u16 {
        words[usize::from(self.slots[usize::from(cell)].0)]
    }

    /// Entries of a store buffer, as (cell and flags, value id), oldest first.
    #[inline]
    pub(crate) fn entries<'w>(
        &self,
        words: &'w [u16],
        cpu: usize,
    ) -> impl Iterator<Item = (u16, u16)> + use<'w> {
        let base = self.cpu(cpu);
        let count = usize::from(words[base + STATUS] >> 12);
        let start = base + self.buffer;
        words[start..start + 2 * count].chunks_exact(2).map(|entry| (entry[0], entry[1]))
    }
}

/// The cell of a buffer entry.
#[inline]
pub(crate) fn entry_cell(entry: u16) -> u16 {
    entry & CELL
}

/// A state that is being worked on.
#[derive(Debug)]
pub(crate) struct Work<D: Device> {
    pub(crate) words: Vec<u16>,
    pub(crate) shared: D::Shared,
    pub(crate) locals: Vec<D::Local>,
    /// Parts that may have changed since the state was unfolded, as bits.
    pub(crate) dirty: u32,
    /// The same since the last look at what CPUs may still do; cells do not count.
    pub(crate) fresh: u32,
    /// Something has changed that may wake a waiter.
    pub(crate) stirred: bool,
    /// The device's state may have changed.
    pub(crate) device: bool,
}

impl<D: Device> Clone for Work<D> {
    fn clone(&self) -> Self {
        Self { words: self.words.clone(), locals: self.locals.clone(), ..*self }
    }
}

impl<D: Device> Work<D> {
    /// The state at power-on, without frames.
    pub(crate) fn new(layout: &Layout, (shared, locals): (D::Shared, Vec<D::Local>)) -> Self {
        let mut work = Self {
            words: vec![0; layout.len()],
            shared,
            locals,
            dirty: u32::MAX,
            fresh: u32::MAX,
            stirred: true,
            device: true,
        };
        for cpu in 0..layout.cpus {
            work.words[layout.cpu(cpu) + STATUS] = 1;
            work.set_frame(layout, cpu, 0, DONE);
        }
        work
    }

    #[inline]
    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.words.copy_from_slice(&other.words);
        self.shared = other.shared;
        self.locals.copy_from_slice(&other.locals);
        self.dirty = other.dirty;
        self.fresh = other.fresh;
        self.stirred = other.stirred;
        self.device = other.device;
    }

    #[inline]
    pub(crate) fn set_cell(&mut self, layout: &Layout, cell: u16, value: u16) {
        let (slot, part) = layout.slots[usize::from(cell)];
        self.words[usize::from(slot)] = value;
        self.dirty |= 1 << part;
        self.stirred = true;
    }

    /// Whether `cpu` has interrupts on.
    #[inline]
    pub(crate) fn irq(&self, layout: &Layout, cpu: usize) -> bool {
        self.words[layout.cpu(cpu) + STATUS] & 1 != 0
    }
    #[inline]
    pub(crate) fn set_irq(&mut self, layout: &Layout, cpu: usize, on: bool) {
        let status = self.status(layout, cpu);
        *status = *status & !1 | u16::from(on);
    }
    /// What the interrupt flag will be when the top frame returns.
    #[inline]
    pub(crate) fn saved_irq(&self, layout: &Layout, cpu: usize) -> bool {
        self.words[layout.cpu(cpu) + STATUS] >> self.top(layout, cpu) & 1 != 0
    }

    /// Index of the topmost frame.
    #[inline]
    pub(crate) fn top(&self, layout: &Layout, cpu: usize) -> usize {
        usize::from(self.words[layout.cpu(cpu) + STATUS] >> 8 & 0xf)
    }
    #[inline]
    pub(crate) fn frame(&self, layout: &Layout, cpu: usize, frame: usize) -> u32 {
        let at = layout.cpu(cpu) + STACK + 2 * frame;
        u32::from(self.words[at]) | u32::from(self.words[at + 1]) << 16
    }
    #[inline]
    pub(crate) fn set_frame(&mut self, layout: &Layout, cpu: usize, frame: usize, node: u32) {
        let at = layout.cpu(cpu) + STACK + 2 * frame;
        self.words[at] = node as u16;
        self.words[at + 1] = (node >> 16) as u16;
        self.touch(cpu);
    }
    /// The node of the topmost frame.
    #[inline]
    pub(crate) fn node(&self, layout: &Layout, cpu: usize) -> u32 {
        self.frame(layout, cpu, self.top(layout, cpu))
    }

    /// Enters an interrupt handler: saves the interrupt flag and clears it.
    pub(crate) fn push_frame(&mut self, layout: &Layout, cpu: usize, node: u32, urgent: bool) {
        let top = self.top(layout, cpu) + 1;
        self.words[layout.cpu(cpu) + URGENT] |= u16::from(urgent) << top;
        let status = self.status(layout, cpu);
        let irq = *status & 1;
        *status = ((*status & !1) + 0x100) | (irq << top);
        self.set_frame(layout, cpu, top, node);
    }
    /// Leaves an interrupt handler.
    pub(crate) fn pop_frame(&mut self, layout: &Layout, cpu: usize) {
        let top = self.top(layout, cpu);
        self.set_frame(layout, cpu, top, DONE);
        self.words[layout.cpu(cpu) + URGENT] &= !(1 << top);
        let status = self.status(layout, cpu);
        let irq = *status >> top & 1;
        *status = ((*status - 0x100) & !(1 << top)) & !1 | irq;
        self.stirred = true;
    }

    /// Whether the handler of a non-maskable interrupt is among the frames.
    #[inline]
    pub(crate) fn in_nmi(&self, layout: &Layout, cpu: usize) -> bool {
        self.words[layout.cpu(cpu) + URGENT] != 0
    }

    #[inline]
    pub(crate) fn pending(&self, layout: &Layout, cpu: usize) -> u32 {
        let at = layout.cpu(cpu) + PENDING;
        u32::from(self.words[at]) | u32::from(self.words[at + 1]) << 16
    }
    #[inline]
    pub(crate) fn set_pending(&mut self, layout: &Layout, cpu: usize, lines: u32) {
        let at = layout.cpu(cpu) + PENDING;
        self.words[at] = lines as u16;
        self.words[at + 1] = (lines >> 16) as u16;
        self.touch(cpu);
    }

    #[inline]
    pub(crate) fn buffered(&self, layout: &Layout, cpu: usize) -> usize {
        usize::from(self.words[layout.cpu(cpu) + STATUS] >> 12)
    }
    /// One entry of the store buffer.
    #[inline]
    pub(crate) fn entry(&self, layout: &Layout, cpu: usize, index: usize) -> (u16, u16) {
        let at = layout.cpu(cpu) + layout.buffer + 2 * index;
        (self.words[at], self.words[at + 1])
    }
    /// Appends an entry; the caller has checked that there is room.
    #[inline]
    pub(crate) fn push_entry(&mut self, layout: &Layout, cpu: usize, entry: u16, value: u16) {
        let at = layout.cpu(cpu) + layout.buffer + 2 * self.buffered(layout, cpu);
        self.words[at] = entry;
        self.words[at + 1] = value;
        *self.status(layout, cpu) += 0x1000;
    }
    /// Takes an entry out; those behind it move up.
    #[inline]
    pub(crate) fn remove_entry(&mut self, layout: &Layout, cpu: usize, index: usize) {
        let start = layout.cpu(cpu) + layout.buffer;
        let end = start + 2 * self.buffered(layout, cpu);
        self.words.copy_within(start + 2 * index + 2..end, start + 2 * index);
        self.words[end - 2..end].fill(0);
        *self.status(layout, cpu) -= 0x1000;
    }

    /// Dead objects, as bits.
    #[inline]
    pub(crate) fn dead(&self) -> u64 {
        (0..4).fold(0, |bits, i| bits | u64::from(self.words[DEAD + i]) << (16 * i))
    }
    pub(crate) fn kill(&mut self, object: u8) {
        self.words[DEAD + usize::from(object / 16)] |= 1 << (object % 16);
        self.dirty |= 1;
        self.stirred = true;
    }

    /// Id of the device's shared state (`None`) or of a CPU's.
    #[inline]
    pub(crate) fn device_id(&self, layout: &Layout, cpu: Option<usize>) -> u32 {
        let at = device_at(layout, cpu);
        u32::from(self.words[at]) | u32::from(self.words[at + 1]) << 16
    }
    #[inline]
    pub(crate) fn set_device_id(&mut self, layout: &Layout, cpu: Option<usize>, id: u32) {
        let at = device_at(layout, cpu);
        self.words[at] = id as u16;
        self.words[at + 1] = (id >> 16) as u16;
        self.dirty |= cpu.map_or(1, |cpu| 2 << cpu);
    }

    #[inline]
    fn touch(&mut self, cpu: usize) {
        self.dirty |= 2 << cpu;
        self.fresh |= 2 << cpu;
    }

    #[inline]
    fn status(&mut self, layout: &Layout, cpu: usize) -> &mut u16 {
        self.touch(cpu);
        &mut self.words[layout.cpu(cpu) + STATUS]
    }
}

#[inline]
fn device_at(layout: &Layout, cpu: Option<usize>) -> usize {
    cpu.map_or(SHARED_DEVICE, |cpu| layout.cpu(cpu) + LOCAL_DEVICE)
}
