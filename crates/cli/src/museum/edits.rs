//! A text from which ranges are taken out, such that what is left keeps its comments, its layout and its line numbers.

use std::ops::Range;

/// A line of an edited text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its text, without the line break.
    pub text: String,
    /// Number in the source of the line that it comes from, from 1.
    pub number: usize,
}

/// What is to be done to a text.
#[derive(Debug)]
pub struct Edits<'s> {
    source: &'s str,
    /// Where each line begins, and the end.
    starts: Vec<usize>,
    deleted: Vec<bool>,
    inserted: Vec<(usize, &'static str)>,
    /// Columns by which each line moves to the left.
    dedent: Vec<usize>,
}

impl<'s> Edits<'s> {
    /// Begins without edits.
    pub fn new(source: &'s str) -> Self {
        let mut starts = vec![0];
        starts.extend(source.match_indices('\n').map(|(at, _)| at + 1));
        if starts.last() != Some(&source.len()) {
            starts.push(source.len());
        }
        let dedent = vec![0; starts.len()];
        Self { source, starts, deleted: vec![false; source.len()], inserted: Vec::new(), dedent }
    }

    /// Takes a range out; a line of which nothing but blanks is left goes as a whole.
    pub fn delete(&mut self, range: Range<usize>) {
        self.deleted[range].fill(true);
    }

    /// Puts `text` in before `at`.
    pub fn insert(&mut self, at: usize, text: &'static str) {
        self.inserted.push((at, text));
    }

    /// Moves `lines` (indices, from 0) to the left.
    pub fn dedent(&mut self, lines: Range<usize>, columns: usize) {
        for line in lines {
            self.dedent[line] += columns;
        }
    }

    /// Index, from 0, of the line around `at`.
    pub fn line(&self, at: usize) -> usize {
        self.starts.partition_point(|&start| start <= at) - 1
    }

    /// The range of line `index`, with its line break.
    pub fn range(&self, index: usize) -> Range<usize> {
        self.starts[index]..self.starts.get(index + 1).copied().unwrap_or(self.source.len())
    }

    /// Blanks that the line around `at` begins with.
    pub fn indent(&self, at: usize) -> usize {
        let line = &self.source[self.range(self.line(at))];
        line.len() - line.trim_start_matches(' ').len()
    }

    /// Whether line `index` is a comment and nothing else.
    pub fn is_comment(&self, index: usize) -> bool {
        self.source[self.range(index)].trim_start().starts_with("//")
    }

    /// Carries the edits out.
    pub fn apply(mut self) -> Vec<Line> {
        self.inserted.sort_by_key(|&(at, _)| at);
        let mut lines: Vec<Line> = Vec::new();
        let mut draft = Draft::default();
        let mut inserted = self.inserted.iter().peekable();
        for (at, c) in self.source.char_indices() {
            while let Some((_, text)) = inserted.next_if(|(place, _)| *place <= at) {
                draft.text += text;
            }
            let index = self.line(at);
            if self.deleted[at] {
                draft.touched = true;
            } else if c == '\n' {
                draft.finish(&self.dedent, &mut lines);
            } else {
                draft.push(c, index);
            }
        }
        draft.text.extend(inserted.map(|(_, text)| *text));
        if !draft.text.is_empty() {
            draft.finish(&self.dedent, &mut lines);
        }
        tidy(lines)
    }
}

/// A line in the making.
#[derive(Default)]
struct Draft {
    text: String,
    /// Line of the source whose blanks it begins with.
    first: Option<usize>,
    /// Line of the source that its first word is from.
    word: Option<usize>,
    touched: bool,
}

impl Draft {
    fn push(&mut self, c: char, index: usize) {
        self.first.get_or_insert(index);
        if c != ' ' {
            self.word.get_or_insert(index);
        }
        self.text.push(c);
    }

    fn finish(&mut self, dedent: &[usize], lines: &mut Vec<Line>) {
        let draft = std::mem::take(self);
        let text = draft.text.trim_end();
        if draft.touched && text.is_empty() {
            return;
        }
        let blanks = text.len() - text.trim_start_matches(' ').len();
        let columns = draft.first.map_or(0, |first| dedent[first]).min(blanks);
        // An empty line has no words; it comes after the one before it.
        let number = draft.word.map_or_else(|| lines.last().map_or(1, |line| line.number + 1), |n| n + 1);
        lines.push(Line { text: text[columns..].to_owned(), number });
    }
}

/// Drops empty lines that stand beside another, or at the ends of a block.
fn tidy(lines: Vec<Line>) -> Vec<Line> {
    let mut kept: Vec<Line> = Vec::new();
    for line in lines {
        let before = kept.last().map_or("{", |line| line.text.as_str());
        let opened = before.is_empty() || before.ends_with('{');
        if line.text.is_empty() && opened {
            continue;
        }
        if line.text.trim_start().starts_with('}') && before.is_empty() {
            kept.pop();
        }
        kept.push(line);
    }
    kept
}
