//! Messages and views.

use core::ops::Range;

/// Views of a CPU.
pub(crate) const CURRENT: usize = 0;
pub(crate) const ACQUIRE: usize = 1;
pub(crate) const RELEASE: usize = 2;
/// What the CPU knew at its last barrier against hardware: its interrupts carry that, and walks that lag read no older.
pub(crate) const SYNCED: usize = 3;
/// What page walks may read at least beside that: broadcasts of others have reached them.
pub(crate) const WALK: usize = 4;
pub(crate) const VIEWS: usize = 5;
/// Messages of one word at most, and fences that are kept in order.
const MOST: usize = 32;
/// Messages of all words at most.
const MOST_OF_ALL: usize = 512;
/// No limit for a fence that comes later.
pub(crate) const FREE: u8 = u8::MAX;
/// A message whose writer is not known (any more).
pub(crate) const NOBODY: u8 = u8::MAX;

/// A store that some CPU may still read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) cell: u16,
    pub(crate) value: u16,
    /// A read-modify-write, whose place is right behind what it read. Of a fence: its order against what it led to is
    /// turned round.
    pub(crate) bound: bool,
    /// Fences that led to this store, by their places.
    pub(crate) causes: u32,
    /// For drawings: not part of the state.
    pub(crate) writer: u8,
}

/// Memory, views of CPUs, and views on their way with interrupts. A word without messages has one, whose value is in
/// the state's own words and whose view is empty.
///
/// Rows are views, one number a word, two for what each CPU uses (`uses.rs`), and a last one for the order of fences,
/// all of one width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weak {
    pub(crate) width: usize,
    /// Whether page walks read what their CPU knew at its last barrier, or newer; otherwise what it knows.
    lags: bool,
    /// Whether fences are kept in order, since one may go before another that has run (`orders.rs`).
    pub(super) keeps: bool,
    /// Sorted by word, then in modification order.
    pub(crate) messages: Vec<Message>,
    /// The view of each message.
    pub(crate) rows: Vec<u8>,
    /// The views of each CPU.
    pub(crate) views: Vec<u8>,
    /// Fences that led to where each CPU is, by their places.
    pub(crate) causes: Vec<u32>,
    /// Of each fence that is kept in order: what came after it, as [`Weak::limits`] has it.
    pub(crate) limits: Vec<u8>,
    /// Interrupts that are pending with a view or with fences that led to them: CPU and line, the rows, and the fences.
    pub(crate) lines: Vec<(u8, u8)>,
    pub(crate) line_rows: Vec<u8>,
    pub(crate) line_causes: Vec<u32>,
    /// Something has changed since the state was unfolded.
    pub(crate) changed: bool,
}

impl Weak {
    /// Memory at power-on: all CPUs know all of it.
    pub(crate) fn new(cells: usize, cpus: usize, (lags, keeps): (bool, bool)) -> Self {
        let width = cells + 2 * cpus + 1;
        Self {
            width,
            lags,
            keeps,
            views: vec![0; cpus * VIEWS * width],
            causes: vec![0; cpus],
            changed: true,
            ..Self::default()
        }
    }

    pub(crate) fn copy_from(&mut self, other: &Self) {
        self.width = other.width;
        self.lags = other.lags;
        self.keeps = other.keeps;
        self.messages.clone_from(&other.messages);
        self.rows.clone_from(&other.rows);
        self.views.clone_from(&other.views);
        self.causes.clone_from(&other.causes);
        self.limits.clone_from(&other.limits);
        self.lines.clone_from(&other.lines);
        self.line_rows.clone_from(&other.line_rows);
        self.line_causes.clone_from(&other.line_causes);
        self.changed = other.changed;
    }

    pub(crate) fn cpus(&self) -> usize {
        self.causes.len()
    }

    /// The word that stands for the order of fences.
    pub(crate) fn order(&self) -> u16 {
        (self.width - 1) as u16
    }

    /// Where the messages of a word lie.
    #[inline]
    pub(crate) fn range(&self, cell: u16) -> Range<usize> {
        let start = self.messages.partition_point(|message| message.cell < cell);
        if self.messages.get(start).is_none_or(|message| message.cell != cell) {
            return start..start;
        }
        self.range_at(start)
    }

    /// Where the messages of the word of the one at `start`, its first, lie.
    #[inline]
    fn range_at(&self, start: usize) -> Range<usize> {
        let cell = self.messages[start].cell;
        let count = self.messages[start..].iter().take_while(|message| message.cell == cell).count();
        start..start + count
    }

    /// Place of the newest message of a word.
    #[inline]
    pub(crate) fn newest(&self, cell: u16) -> usize {
        self.range(cell).len().saturating_sub(1)
    }

    /// The message at a place; `None` if it is the only one and nothing is to be said of it.
    #[inline]
    pub(crate) fn message(&self, cell: u16, place: usize) -> Option<&Message> {
        let range = self.range(cell);
        self.messages[range].get(place)
    }

    /// Where a view lies among all.
    #[inline]
    pub(super) fn span(&self, cpu: usize, kind: usize) -> Range<usize> {
        let start = (cpu * VIEWS + kind) * self.width;
        start..start + self.width
    }

    /// Where the view of a message lies among all.
    #[inline]
    pub(super) fn row_span(&self, index: usize) -> Range<usize> {
        index * self.width..(index + 1) * self.width
    }

    #[inline]
    pub(crate) fn view(&self, cpu: usize, kind: usize) -> &[u8] {
        &self.views[self.span(cpu, kind)]
    }

    #[inline]
    pub(crate) fn view_mut(&mut self, cpu: usize, kind: usize) -> &mut [u8] {
        let span = self.span(cpu, kind);
        &mut self.views[span]
    }

    /// The oldest message of a word that a CPU may still read.
    #[inline]
    pub(crate) fn oldest(&self, cpu: usize, cell: u16) -> usize {
        self.views[cpu * VIEWS * self.width + usize::from(cell)].into()
    }

    /// The view that page walks of a CPU lag behind at most, but for broadcasts.
    pub(crate) fn walked(&self) -> usize {
        if self.lags { SYNCED } else { CURRENT }
    }

    /// The oldest message of a word that a page walk of a CPU may read.
    pub(crate) fn oldest_walked(&self, cpu: usize, cell: u16) -> usize {
        let entry = |kind: usize| self.view(cpu, kind)[usize::from(cell)];
        entry(self.walked()).max(entry(WALK)).into()
    }

    /// A barrier against hardware: from here on walks read, and interrupts carry, what `cpu` knows of the first
    /// `words`.
    pub(crate) fn synchronize(&mut self, cpu: usize, words: usize) {
        let (from, to) = (self.span(cpu, CURRENT).start, self.span(cpu, SYNCED).start);
        self.views.copy_within(from..from + words, to);
        self.changed = true;
    }

    /// Page walks of all CPUs read what a view of `cpu` has of the first `watched` words.
    pub(crate) fn reach_walks(&mut self, (cpu, kind): (usize, usize), watched: usize) {
        let row = self.view(cpu, kind)[..watched].to_vec();
        for other in 0..self.cpus() {
            join(self.view_mut(other, WALK), &row);
        }
        self.changed = true;
    }

    /// Hardware of `cpus` reads what `cpu` knows of some watched `words`.
    pub(crate) fn refetch(&mut self, cpu: usize, cpus: Range<usize>, words: Range<usize>) {
        let row = self.view(cpu, CURRENT)[words.clone()].to_vec();
        for other in cpus {
            join(&mut self.view_mut(other, WALK)[words.clone()], &row);
        }
        self.changed = true;
    }

    pub(crate) fn row(&self, index: usize) -> &[u8] {
        &self.rows[self.row_span(index)]
    }

    /// Puts a message with an empty view at a place of its word's list; those from there on move up. Returns its index.
    pub(crate) fn insert(&mut self, message: Message, place: usize) -> Result<usize, &'static str> {
        let range = self.range(message.cell);
        if range.len() >= MOST {
            return Err("a word has more stores that can still be read than fit");
        }
        if self.messages.len() >= MOST_OF_ALL {
            return Err("there are more stores that can still be read than fit");
        }
        let cell = usize::from(message.cell);
        // The first one of a list has been there all the time, and nobody knows of what comes behind the newest.
        if range.is_empty() || place == range.len() {
            return Ok(self.place(message, range.start + place.min(range.len())));
        }
        self.shift(cell, |entry| if usize::from(entry) >= place { entry + 1 } else { entry });
        for limit in self.limits.chunks_exact_mut(self.width) {
            let limit = &mut limit[cell];
            if *limit != FREE && usize::from(*limit) >= 2 * place {
                *limit += 2;
            }
        }
        Ok(self.place(message, range.start + place))
    }

    fn place(&mut self, message: Message, index: usize) -> usize {
        let (at, end) = (index * self.width, self.rows.len());
        self.messages.insert(index, message);
        self.rows.resize(end + self.width, 0);
        self.rows.copy_within(at..end, at + self.width);
        self.rows[at..at + self.width].fill(0);
        self.changed = true;
        index
    }

    /// Drops what no CPU can read any more, nor its walks of one of the first `watched` words. `reads` says whether a
    /// CPU may ever use a word again.
    pub(crate) fn prune(&mut self, watched: usize, reads: impl Fn(usize, u16) -> bool) {
        let mut start = 0;
        while start < self.messages.len() {
            let cell = self.messages[start].cell;
            let range = self.range_at(start);
            if range.len() == 1 {
                start = range.end;
                continue;
            }
            let users = (0..self.cpus()).filter(|&cpu| reads(cpu, cell));
            let walked = usize::from(cell) < watched;
            let oldest = |cpu| {
                let known = self.oldest(cpu, cell);
                if walked { known.min(self.oldest_walked(cpu, cell)) } else { known }
            };
            let oldest = users.map(oldest).min().unwrap_or(range.len() - 1);
            if oldest > 0 {
                self.drop_first(cell, oldest);
            }
            start = range.end - oldest;
        }
        self.drop_trivial();
        self.drop_lines();
    }

    /// Drops a message but the first: a view that had it has the one before, which says as much.
    pub(crate) fn remove(&mut self, cell: u16, place: usize) {
        let index = self.range(cell).start + place;
        self.messages.remove(index);
        self.rows.drain(index * self.width..(index + 1) * self.width);
        self.shift(cell.into(), |entry| if usize::from(entry) >= place { entry - 1 } else { entry });
        self.changed = true;
    }

    fn drop_first(&mut self, cell: u16, count: usize) {
        let start = self.range(cell).start;
        self.messages.drain(start..start + count);
        self.messages[start].bound = false;
        self.rows.drain(start * self.width..(start + count) * self.width);
        let index = usize::from(cell);
        self.shift(index, |entry| entry.saturating_sub(count as u8));
        for limit in self.limits.chunks_exact_mut(self.width) {
            let limit = &mut limit[index];
            if *limit != FREE {
                *limit = limit.saturating_sub(2 * count as u8);
            }
        }
        if cell == self.order() {
            self.limits.drain(..count * self.width);
            // The first place is what all know.
            self.rows[start * self.width..(start + 1) * self.width].fill(0);
            self.move_causes(|causes| causes >> count & !1);
        }
        self.changed = true;
    }

    /// Fences have moved to other places of their list.
    pub(super) fn move_causes(&mut self, change: impl Fn(u32) -> u32) {
        let messages = self.messages.iter_mut().map(|message| &mut message.causes);
        let all = messages.chain(&mut self.causes).chain(&mut self.line_causes);
        all.for_each(|causes| *causes = change(*causes));
    }

    /// A word's only message with an empty view needs no mention.
    fn drop_trivial(&mut self) {
        let (mut kept, mut index) = (0, 0);
        while index < self.messages.len() {
            let cell = self.messages[index].cell;
            let last = self.messages[index..].iter().take_while(|message| message.cell == cell).count();
            let plain = last == 1 && self.messages[index].causes == 0 && is_zero(self.row(index));
            if plain && cell == self.order() {
                self.limits.clear();
            }
            let keep = if plain { 0 } else { last };
            if keep > 0 && kept < index {
                self.messages.copy_within(index..index + keep, kept);
                self.rows.copy_within(index * self.width..(index + keep) * self.width, kept * self.width);
            }
            kept += keep;
            index += last;
        }
        self.changed |= kept < self.messages.len();
        self.messages.truncate(kept);
        self.rows.truncate(kept * self.width);
    }

    fn drop_lines(&mut self) {
        for index in (0..self.lines.len()).rev() {
            let row = index * self.width..(index + 1) * self.width;
            // What led to where the CPU is need not be told again.
            let known = self.causes[usize::from(self.lines[index].0)];
            self.changed |= self.line_causes[index] & known != 0;
            self.line_causes[index] &= !known;
            if self.line_causes[index] == 0 && is_zero(&self.line_rows[row.clone()]) {
                self.lines.remove(index);
                self.line_causes.remove(index);
                self.line_rows.drain(row);
                self.changed = true;
            }
        }
    }

    pub(super) fn shift(&mut self, cell: usize, change: impl Fn(u8) -> u8) {
        let rows = self.rows.chunks_exact_mut(self.width);
        let rows = rows.chain(self.views.chunks_exact_mut(self.width));
        for row in rows.chain(self.line_rows.chunks_exact_mut(self.width)) {
            row[cell] = change(row[cell]);
        }
    }
}

/// Whether a view says nothing. Without a branch for each entry.
#[inline]
fn is_zero(row: &[u8]) -> bool {
    row.iter().fold(0, |all, entry| all | entry) == 0
}

/// Adds to a view what another has.
#[inline]
pub(crate) fn join(view: &mut [u8], other: &[u8]) {
    for (mine, theirs) in view.iter_mut().zip(other) {
        *mine = (*mine).max(*theirs);
    }
}
