//! What the guest prints.

use crate::frames::lock;
use std::io::Write;
use std::sync::Mutex;

/// Bytes after which the rest is thrown away: a guest does not fill the host's disk.
const MOST: usize = 64 << 10;

/// Collects bytes to lines and prints those.
#[derive(Default)]
pub struct Console {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    line: Vec<u8>,
    printed: usize,
}

impl Console {
    /// Takes a byte.
    pub fn put(&self, byte: u8) {
        let mut state = lock(&self.state);
        if state.printed >= MOST {
            return;
        }
        state.printed += 1;
        if state.printed == MOST {
            state.line = b"(the rest is not shown)".to_vec();
        } else if byte != b'\n' {
            state.line.push(byte);
            return;
        }
        state.print();
    }

    /// Prints a last line that was not ended.
    pub fn finish(&self) {
        let mut state = lock(&self.state);
        if !state.line.is_empty() {
            state.print();
        }
    }
}

impl State {
    fn print(&mut self) {
        let line = std::mem::take(&mut self.line);
        let shown: String = String::from_utf8_lossy(&line).chars().map(visible).collect();
        // The reader may have gone; the guest goes on.
        let _ = writeln!(std::io::stdout().lock(), "guest| {shown}");
    }
}

/// Control characters could write over what the host says.
fn visible(character: char) -> char {
    if character.is_control() { '\u{fffd}' } else { character }
}
