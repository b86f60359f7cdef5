//! The working state: the words that a [`Layout`] lays out, and the device's values beside them.

use crate::machine::device::Device;
use crate::machine::layout::{
    DEAD, LOCAL_DEVICE, Layout, MESSAGES, PENDING, SHARED_DEVICE, STACK, STATUS, TURNS, URGENT,
};
use crate::machine::node::DONE;
use crate::machine::weak::messages::Weak;

/// A state that is being worked on.
#[derive(Debug)]
pub(crate) struct Work<D: Device> {
    pub(crate) words: Vec<u16>,
    pub(crate) shared: D::Shared,
    pub(crate) locals: Vec<D::Local>,
    /// Messages and views; nothing where there are store buffers.
    pub(crate) weak: Weak,
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
        Self { words: self.words.clone(), locals: self.locals.clone(), weak: self.weak.clone(), ..*self }
    }
}

impl<D: Device> Work<D> {
    /// The state at power-on, without frames.
    pub(crate) fn new(layout: &Layout, (shared, locals): (D::Shared, Vec<D::Local>)) -> Self {
        let mut work = Self {
            words: vec![0; layout.len()],
            shared,
            locals,
            weak: if layout.weak {
                Weak::new(layout.cells, layout.cpus, (layout.lags, layout.reorders))
            } else {
                Weak::default()
            },
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
        self.weak.copy_from(&other.weak);
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

    /// Takes that `cpu` moves; `false` if that begins a turn beyond the first `most`.
    pub(crate) fn take_turn(&mut self, cpu: usize, most: u16) -> bool {
        let (turns, last) = (self.words[TURNS] >> 4, usize::from(self.words[TURNS] & 0xf));
        if last == cpu + 1 {
            return true;
        }
        if turns < most {
            self.words[TURNS] = (turns + 1) << 4 | (cpu as u16 + 1);
            self.dirty |= 1;
        }
        turns < most
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

    /// Id of the record of memory (`None`) or of a CPU's views.
    #[inline]
    pub(crate) fn weak_id(&self, layout: &Layout, cpu: Option<usize>) -> u32 {
        let at = cpu.map_or(MESSAGES, |cpu| layout.cpu(cpu) + layout.buffer);
        u32::from(self.words[at]) | u32::from(self.words[at + 1]) << 16
    }
    #[inline]
    pub(crate) fn set_weak_id(&mut self, layout: &Layout, cpu: Option<usize>, id: u32) {
        if id == self.weak_id(layout, cpu) {
            return;
        }
        let at = cpu.map_or(MESSAGES, |cpu| layout.cpu(cpu) + layout.buffer);
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
