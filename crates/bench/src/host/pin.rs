//! Threads that stay on a CPU of the host.

use std::io;
use std::mem::{size_of, zeroed};

/// The CPUs that this thread may run on.
///
/// # Errors
/// The host does not say.
pub(super) fn allowed() -> io::Result<Vec<usize>> {
    // SAFETY: a set of CPUs is an array of integers.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    // SAFETY: the set is as large as is said, and this thread's own.
    let answer = unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set) };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the numbers are below the size of the set.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) }).collect())
}

/// Keeps the thread of this number on one of the CPUs that it may run on, the first of which is for thread 0.
///
/// # Errors
/// The host refuses.
pub(super) fn spread(thread: usize) -> io::Result<()> {
    let cpus = allowed()?;
    pin(&[cpus[thread % cpus.len()]])
}

/// Keeps this thread on these CPUs.
///
/// # Errors
/// The host refuses.
pub(super) fn pin(cpus: &[usize]) -> io::Result<()> {
    // SAFETY: a set of CPUs is an array of integers.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    for &cpu in cpus {
        // SAFETY: the number is of a CPU of this host.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    // SAFETY: the set is as large as is said.
    let answer = unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
