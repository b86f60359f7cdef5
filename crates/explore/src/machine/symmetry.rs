//! Interchangeable CPUs.

use crate::machine::device::Device;
use crate::machine::scenario::Scenario;

/// For each CPU: the first of its group, and whether the group has more than one.
pub(crate) fn twins<S: Scenario>(scenario: &S) -> Result<Vec<(u8, bool)>, String> {
    let cpus = scenario.cpus();
    let mut twins: Vec<(u8, bool)> = (0..cpus).map(|cpu| (cpu as u8, false)).collect();
    let (_, locals) = scenario.device().reset(cpus);
    for group in scenario.symmetric() {
        let Some(&first) = group.iter().min() else { continue };
        for &cpu in &group {
            if cpu >= cpus {
                return Err(format!("CPU {cpu} of a symmetric group is not on this machine"));
            }
            if twins[cpu].1 {
                return Err(format!("CPU {cpu} is in two symmetric groups"));
            }
            if scenario.pending_at_start(cpu) != scenario.pending_at_start(first) {
                return Err(format!("CPUs {first} and {cpu} are not symmetric: pending interrupts differ"));
            }
            if locals[cpu] != locals[first] {
                return Err(format!("CPUs {first} and {cpu} are not symmetric: device states differ"));
            }
            twins[cpu] = (first as u8, group.len() > 1);
        }
    }
    Ok(twins)
}
