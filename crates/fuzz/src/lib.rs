//! What fuzz targets share: inputs as numbers, and inputs that resemble files.

/// Bytes that are read as decisions; where there are none left, all decisions are 0.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Begins to read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are none left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// Reads a number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    /// Reads a number of any size: one byte says how many follow, so that small numbers are as frequent as large ones.
    pub fn number(&mut self) -> u64 {
        let bytes = self.byte() % 9;
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }
}

/// Makes of `bytes` a text that resembles one of `seeds`: a seed with pieces taken out, repeated, and put in from
/// `words` or from `bytes` themselves.
pub fn resemble(bytes: &[u8], seeds: &[&str], words: &[&str]) -> Vec<u8> {
    let mut bytes = Bytes::new(bytes);
    let mut text = seeds[bytes.below(seeds.len() as u64) as usize].as_bytes().to_vec();
    while !bytes.is_empty() {
        let at = bytes.below(text.len() as u64 + 1) as usize;
        let end = (at + bytes.below(24) as usize).min(text.len());
        match bytes.byte() % 6 {
            0 => drop(text.drain(at..end)),
            1 => {
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
            2 => {
                let word = words[bytes.below(words.len() as u64) as usize];
                text.splice(at..end, word.bytes());
            }
            3 => {
                let number = bytes.number().to_string();
                text.splice(at..end, number.bytes());
            }
            4 => {
                // Lines change places.
                let mut lines: Vec<&[u8]> = text.split(|&byte| byte == b'\n').collect();
                let (one, two) = (bytes.below(lines.len() as u64), bytes.below(lines.len() as u64));
                lines.swap(one as usize, two as usize);
                text = lines.join(&b'\n');
            }
            _ => {
                let byte = bytes.byte();
                text.insert(at, byte);
            }
        }
        if text.len() > 1 << 14 {
            break;
        }
    }
    text
}
