//! Messages and views as records: one of memory, one of each CPU.

use crate::machine::weak::messages::{FREE, Message, NOBODY, VIEWS, WALK, Weak};

/// Ends the entries of a row.
const END: u16 = u16::MAX;
/// Entries of a row that are looked at together: those of a number.
const CHUNK: usize = 8;
/// Beside the word of a message: it is bound.
const BOUND: u16 = 0x8000;

impl Weak {
    /// Writes the parts that are not a CPU's alone.
    pub(crate) fn write_memory(&self, record: &mut Vec<u16>) {
        record.clear();
        record.push(self.messages.len() as u16);
        for (index, message) in self.messages.iter().enumerate() {
            record.extend([message.cell | if message.bound { BOUND } else { 0 }, message.value]);
            record.extend(halves(message.causes));
            write_row(record, self.row(index), 0);
        }
        record.push(self.lines.len() as u16);
        for (index, &(cpu, line)) in self.lines.iter().enumerate() {
            record.push(u16::from(cpu) << 8 | u16::from(line));
            record.extend(halves(self.line_causes[index]));
            write_row(record, &self.line_rows[index * self.width..(index + 1) * self.width], 0);
        }
        for limits in self.limits.chunks_exact(self.width) {
            write_row(record, limits, FREE);
        }
    }

    /// Whether memory is that of `other`, so that it needs no new record.
    pub(crate) fn has_memory_of(&self, other: &Self) -> bool {
        self.messages == other.messages
            && self.rows == other.rows
            && self.lines == other.lines
            && self.line_causes == other.line_causes
            && self.line_rows == other.line_rows
            && self.limits == other.limits
    }

    /// Whether a CPU knows what it does in `other`.
    pub(crate) fn has_views_of(&self, other: &Self, cpu: usize) -> bool {
        let all = self.span(cpu, 0).start..self.span(cpu, VIEWS).start;
        self.causes[cpu] == other.causes[cpu] && self.views[all.clone()] == other.views[all]
    }

    /// The views of one CPU, and which fences led to where it is.
    pub(crate) fn write_cpu(&self, cpu: usize, record: &mut Vec<u16>) {
        record.clear();
        record.extend(halves(self.causes[cpu]));
        for kind in 0..WALK {
            write_row(record, self.view(cpu, kind), 0);
        }
        // Where the view that walks follow knows as much, their own says nothing.
        let (known, walk) = (self.view(cpu, self.walked()), self.view(cpu, WALK));
        for (cell, &entry) in walk.iter().enumerate().filter(|&(cell, &entry)| entry > known[cell]) {
            record.push((cell as u16) << 8 | u16::from(entry));
        }
        record.push(END);
    }

    pub(crate) fn read_memory(&mut self, mut record: &[u16]) {
        self.messages.clear();
        self.rows.clear();
        for _ in 0..take(&mut record) {
            let cell = take(&mut record);
            let value = take(&mut record);
            let causes = take_both(&mut record);
            let bound = cell & BOUND != 0;
            self.messages.push(Message { cell: cell & !BOUND, value, bound, causes, writer: NOBODY });
            read_row(&mut record, &mut self.rows, (self.width, 0));
        }
        self.lines.clear();
        self.line_rows.clear();
        self.line_causes.clear();
        for _ in 0..take(&mut record) {
            let line = take(&mut record);
            self.lines.push(((line >> 8) as u8, line as u8));
            self.line_causes.push(take_both(&mut record));
            read_row(&mut record, &mut self.line_rows, (self.width, 0));
        }
        self.limits.clear();
        while !record.is_empty() {
            read_row(&mut record, &mut self.limits, (self.width, FREE));
        }
    }

    pub(crate) fn read_cpu(&mut self, cpu: usize, mut record: &[u16]) {
        self.causes[cpu] = take_both(&mut record);
        for kind in 0..VIEWS {
            let row = self.view_mut(cpu, kind);
            row.fill(0);
            fill_row(&mut record, row);
        }
    }
}

/// Entries that are not `plain`, as word and place.
fn write_row(record: &mut Vec<u16>, row: &[u8], plain: u8) {
    let mut write = |at: usize| record.push((at as u16) << 8 | u16::from(row[at]));
    let chunks = row.chunks_exact(CHUNK);
    let from = row.len() - chunks.remainder().len();
    for (number, chunk) in chunks.filter_map(|chunk| chunk.first_chunk()).enumerate() {
        // Most of a row is plain.
        let mut said = u64::from_le_bytes(*chunk) ^ u64::from_le_bytes([plain; CHUNK]);
        while said != 0 {
            let place = said.trailing_zeros() as usize / 8;
            write(number * CHUNK + place);
            said &= !(0xff << (8 * place));
        }
    }
    (from..row.len()).filter(|&at| row[at] != plain).for_each(write);
    record.push(END);
}

fn read_row(record: &mut &[u16], rows: &mut Vec<u8>, (width, plain): (usize, u8)) {
    let start = rows.len();
    rows.resize(start + width, plain);
    fill_row(record, &mut rows[start..]);
}

fn fill_row(record: &mut &[u16], row: &mut [u8]) {
    loop {
        match take(record) {
            END => return,
            entry => row[usize::from(entry >> 8)] = entry as u8,
        }
    }
}

/// The next number of a record; its end reads as the end of a row.
fn take(record: &mut &[u16]) -> u16 {
    let Some((&first, rest)) = record.split_first() else { return END };
    *record = rest;
    first
}

/// A number of twice the width, and back.
fn halves(number: u32) -> [u16; 2] {
    [number as u16, (number >> 16) as u16]
}

fn take_both(record: &mut &[u16]) -> u32 {
    u32::from(take(record)) | u32::from(take(record)) << 16
}
