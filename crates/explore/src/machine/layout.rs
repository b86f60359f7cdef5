//! Where everything lies in a state: one flat array of 16-bit words, part by part.
//!
//! Part 0 is what CPUs share (dead objects, the device's shared state, cells); part `cpu + 1` is one CPU (frames,
//! interrupts, store buffer, the device's local state, cells that mostly this CPU uses). Each part's length is a
//! multiple of four, so that it hashes as 64-bit chunks.

use crate::machine::cells::Cells;

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
pub(crate) const DEAD: usize = 0;
pub(crate) const SHARED_DEVICE: usize = 4;
pub(crate) const MESSAGES: usize = 6;
/// Whose turn it is and how many there were, where turns are counted.
pub(crate) const TURNS: usize = 8;
pub(crate) const SHARED_CELLS: usize = 9;
// Offsets in a CPU's part.
pub(crate) const STATUS: usize = 0;
pub(crate) const PENDING: usize = 1;
pub(crate) const LOCAL_DEVICE: usize = 3;
pub(crate) const URGENT: usize = 5;
pub(crate) const STACK: usize = 6;

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
    pub(crate) buffer: usize,
    /// There are messages and views instead of store buffers; the first two words of each buffer name a CPU's views.
    pub(crate) weak: bool,
    /// Page walks may lag behind what their CPU knows.
    pub(crate) lags: bool,
    /// A full fence may go before another that has run (`weak/orders.rs`).
    pub(crate) reorders: bool,
    /// Word index of each cell, and its part.
    pub(crate) slots: Vec<(u16, u8)>,
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
            weak: false,
            lags: false,
            reorders: false,
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
    pub(crate) fn cpu(&self, cpu: usize) -> usize {
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
