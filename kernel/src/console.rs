//! The report: lines on the serial port. Lines that begin with `@` are JSON for the command `shootdown boot`.

use crate::arch;
use crate::lock::Mutex;
use core::fmt::{self, Write};

struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(arch::put);
        Ok(())
    }
}

static PORT: Mutex<Port> = Mutex::new(Port);

/// Writes a line. Not for interrupt handlers.
pub fn line(text: fmt::Arguments<'_>) {
    let mut port = PORT.lock();
    // The port takes everything.
    let _ = port.write_fmt(format_args!("{text}\n"));
}

/// Writes a line without taking the port's lock: for panics, after which nothing is written any more.
pub fn last_line(text: fmt::Arguments<'_>) {
    let _ = Port.write_fmt(format_args!("\n{text}\n"));
}

/// Writes a line.
macro_rules! say {
    ($($text:tt)*) => { $crate::console::line(format_args!($($text)*)) };
}
pub(crate) use say;
