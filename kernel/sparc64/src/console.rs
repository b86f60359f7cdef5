//! The report: lines on the serial port; those that begin with `@` are JSON.

use core::arch::asm;
use core::fmt::{self, Write};

/// Physical addresses of the serial port and of the device that ends the machine.
const SERIAL: u64 = 0x1fe_0200_03f8;
const POWER: u64 = 0x1fe_0200_7240;

struct Port;

impl Write for Port {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            // SAFETY: the address is the serial port's, which takes a byte at any time; space 0x15 is physical memory.
            unsafe { asm!("stba {}, [{}] 0x15", in(reg) u64::from(byte), in(reg) SERIAL, options(nostack)) };
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
    const OFF: u64 = 1 << 24;
    // SAFETY: the address is that of the machine's power device.
    unsafe { asm!("stwa {}, [{}] 0x15", in(reg) OFF, in(reg) POWER, options(nostack)) };
    loop {
        core::hint::spin_loop();
    }
}

/// Writes a line.
macro_rules! say {
    ($($text:tt)*) => { $crate::console::line(format_args!($($text)*)) };
}
pub(crate) use say;
