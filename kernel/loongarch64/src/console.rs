//! The report: lines on the serial port; those that begin with `@` are JSON.

use core::fmt::{self, Write};
use core::ptr;

/// Addresses of the serial port and of the register that ends the machine, in the window for devices.
const SERIAL: usize = 0x8000_0000_1fe0_01e0;
const SLEEP: usize = 0x8000_0000_100e_001c;

struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the address is the serial port's, which takes a byte at any time.
            unsafe { ptr::with_exposed_provenance_mut::<u8>(SERIAL).write_volatile(byte) };
        }
        Ok(())
    }
}

/// Writes a line.
pub fn line(text: fmt::Arguments<'_>) {
    // The port takes everything.
    let _ = Port.write_fmt(format_args!("{text}\n"));
}

/// Ends the machine.
pub fn exit() -> ! {
    /// The sleep that ACPI calls S5, and the bit that enters it.
    const OFF: u8 = 5 << 2 | 1 << 5;
    // SAFETY: the address is that of the machine's sleep control register.
    unsafe { ptr::with_exposed_provenance_mut::<u8>(SLEEP).write_volatile(OFF) };
    loop {
        core::hint::spin_loop();
    }
}

/// Writes a line.
macro_rules! say {
    ($($text:tt)*) => { $crate::console::line(format_args!($($text)*)) };
}
pub(crate) use say;
