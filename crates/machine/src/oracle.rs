//! What is wrong with a state. Every rule is a predicate over what was given away (never taken back, except on machines
//! that remap) and what CPUs may hold, so a state that breaks one is found whenever it is reached, not only at a flush.

use crate::absent::ABSENT;
use crate::hw::Op;
use crate::limits::{MAX_PAGES, MAX_SPACES};
use crate::machine::Machine;
use crate::state::{ARRIVING, Local, ONLINE, Shared, USER};
use crate::tables::space_name;
use shootdown_explore::{View, Violation};

impl Machine {
    /// Notes what `op` gives away; refuses giving away twice, and accesses that are wrong in themselves.
    pub(crate) fn mark(
        &self,
        shared: &mut Shared,
        local: &Local,
        cpu: usize,
        op: Op,
    ) -> Result<(), Violation> {
        match op {
            Op::Wrote { frame } => shared.written_frames |= 1 << frame,
            Op::FreeFrame { frame } | Op::Discard { frame } => {
                if matches!(op, Op::Discard { .. }) {
                    self.discard(shared, cpu, frame)?;
                }
                if shared.freed_frames >> frame & 1 != 0 {
                    return Err(format!("CPU {cpu} frees frame {frame}, which was freed before (SD-8)"));
                }
                shared.freed_frames |= 1 << frame;
                shared.dead_values |= self.leading_to[frame];
            }
            Op::FreeTable { table } => {
                if shared.freed_tables >> (table - 1) & 1 != 0 {
                    return Err(format!("CPU {cpu} frees table {table}, which was freed before (SD-8)"));
                }
                shared.freed_tables |= 1 << (table - 1);
            }
            Op::FreeRoot { space } => {
                if shared.freed_roots >> space & 1 != 0 {
                    let name = space_name(space);
                    return Err(format!(
                        "CPU {cpu} frees the root of space {name}, which was freed before (SD-10)"
                    ));
                }
                shared.freed_roots |= 1 << space;
            }
            Op::Teardown { space } => {
                if shared.dead_spaces >> space & 1 != 0 {
                    let name = space_name(space);
                    return Err(format!(
                        "CPU {cpu} tears space {name} down, which was torn down before (SD-10)"
                    ));
                }
                shared.dead_spaces |= 1 << space;
            }
            Op::Revoke { value } => shared.dead_values |= 1 << value,
            Op::Unreachable { space, page } => shared.unreachable |= 1 << (space * MAX_PAGES + page),
            Op::Mapped { space, page } => shared.unreachable &= !(1 << (space * MAX_PAGES + page)),
            Op::Touch { page } => return touch(shared, local, cpu, page),
            Op::Reach { page } => return self.reach(local, cpu, page),
            Op::ReachKernel { page } => return self.reach_kernel(local, cpu, page),
            Op::Access { space, value } => return self.access(shared, cpu, space, value as usize),
            _ => {}
        }
        Ok(())
    }

    /// Judges the state.
    pub(crate) fn check(&self, view: &View<'_, Self>) -> Result<(), Violation> {
        let shared = *view.shared;
        if shared.freed_tables != 0 {
            self.linked(view)?;
        }
        for (cpu, local) in view.locals.iter().enumerate() {
            if !local.walks() {
                continue;
            }
            self.kernel(view, cpu, local)?;
            self.conflicts(cpu, local)?;
            if local.in_flight & shared.dead_values != 0 {
                let what = self.dead_value(&shared, local.in_flight);
                return Err(format!("an access by CPU {cpu} may still arrive at {what}"));
            }
            let Some(space) = local.space() else { continue };
            if shared.freed_roots >> space & 1 != 0 {
                let name = space_name(space);
                return Err(format!(
                    "CPU {cpu} has the root of space {name} loaded, which was freed (SD-10)"
                ));
            }
            let walk = local.walk[usize::from(local.tag)];
            let freed = (walk | walk >> 8) as u8 & shared.freed_tables;
            if freed != 0 {
                let table = freed.trailing_zeros() + 1;
                let how = match () {
                    () if !local.is(ONLINE) => "is off line but can",
                    () if local.is(USER) => "can",
                    () => "is lazy but can",
                };
                return Err(format!(
                    "CPU {cpu} {how} still walk table {table} in space {}, which was freed (SD-7)",
                    space_name(space)
                ));
            }
            if let (true, Some((index, bit))) = (local.is(ONLINE), self.watched().masks[space][cpu]) {
                if view.memory(index) >> bit & 1 == 0 {
                    let name = space_name(space);
                    return Err(format!(
                        "CPU {cpu} has the root of space {name} loaded but is not in its mask (SD-1)"
                    ));
                }
            }
            if local.is(USER) {
                self.usable(&shared, cpu, local, space)?;
            }
        }
        Ok(())
    }

    /// Judges what a CPU may use of kernel memory. One that is off line uses nothing that can be unmapped, and one that comes on
    /// line nothing before it says that it has flushed.
    fn kernel(&self, view: &View<'_, Self>, cpu: usize, local: &Local) -> Result<(), Violation> {
        let shared = &*view.shared;
        if !local.is(ONLINE) || local.is(ARRIVING) && !self.acknowledges_latest(view, cpu) {
            return Ok(());
        }
        if local.kernel.iter().any(|set| set & shared.dead_values != 0) {
            return Err(self.kernel_violation(shared, cpu, local));
        }
        let table = self.tables.kernel_table();
        if local.kernel_walk && shared.freed_tables >> (table - 1) & 1 != 0 {
            return Err(format!("CPU {cpu} can still walk kernel table {table}, which was freed (SD-7)"));
        }
        Ok(())
    }

    /// Judges a CPU that runs user code of `space`.
    fn usable(&self, shared: &Shared, cpu: usize, local: &Local, space: usize) -> Result<(), Violation> {
        let name = space_name(space);
        if shared.dead_spaces >> space & 1 != 0 {
            return Err(format!(
                "CPU {cpu} is in user mode in space {name}, whose mappings are dead (SD-10)"
            ));
        }
        let gone = shared.unreachable >> (space * MAX_PAGES);
        for (page, &held) in local.tlb[usize::from(local.tag)].iter().enumerate() {
            let set = held & !ABSENT;
            if set == 0 {
                continue;
            }
            if set & shared.dead_values != 0 {
                let what = self.dead_value(shared, set);
                return Err(format!("CPU {cpu} can still use page {page} of space {name} -> {what}"));
            }
            if gone >> page & 1 != 0 {
                return Err(format!(
                    "CPU {cpu} can still use page {page} of space {name}, which was unmapped (SD-8)"
                ));
            }
            if set & self.foreign[space] != 0 {
                let value = (set & self.foreign[space]).trailing_zeros() as usize;
                let meant = self.config.translations[value - 1];
                let owner = meant.space.map_or('?', space_name);
                return Err(format!(
                    "CPU {cpu}, in space {name}, can use page {page} -> frame {} of space {owner} (SD-12)",
                    meant.frame
                ));
            }
        }
        Ok(())
    }

    /// Judges root entries that name a freed table, of spaces that can still be walked.
    fn linked(&self, view: &View<'_, Self>) -> Result<(), Violation> {
        let shared = *view.shared;
        for space in 0..self.config.spaces {
            if (shared.freed_roots | shared.dead_spaces) >> space & 1 != 0 {
                continue;
            }
            for entry in 0..self.tables.per_space {
                let table = view.memory(self.watched().root(space, entry));
                let freed = table != 0 && table <= 8 && shared.freed_tables >> (table - 1) & 1 != 0;
                if freed {
                    let name = space_name(space);
                    return Err(format!(
                        "root entry {entry} of space {name} still points to table {table}, which was freed (SD-7)"
                    ));
                }
            }
        }
        let table = self.tables.kernel_table();
        let linked = |link| view.memory(link) == table;
        if shared.freed_tables >> (table - 1) & 1 != 0 && self.watched().kernel_link().is_some_and(linked) {
            return Err(format!("the kernel's root still points to table {table}, which was freed (SD-7)"));
        }
        Ok(())
    }

    fn kernel_violation(&self, shared: &Shared, cpu: usize, local: &Local) -> Violation {
        let page = local.kernel.iter().position(|set| set & shared.dead_values != 0).unwrap_or(0);
        let what = self.dead_value(shared, local.kernel[page]);
        format!("CPU {cpu} can still use kernel page {page} -> {what}")
    }

    pub(crate) fn dead_value(&self, shared: &Shared, set: u16) -> String {
        let value = (set & shared.dead_values).trailing_zeros() as usize;
        let meant = self.config.translations[value - 1];
        if shared.freed_frames >> meant.frame & 1 != 0 {
            format!("frame {}, which was freed (SD-8)", meant.frame)
        } else {
            let mode = if meant.writable { "writable" } else { "read-only" };
            format!("frame {} {mode}, which was revoked (SD-8)", meant.frame)
        }
    }

    /// Judges an end at which something was never given back.
    pub(crate) fn lost(&self, shared: &Shared) -> Result<(), Violation> {
        let [frames, tables, roots] = &self.config.must_free;
        if let Some(frame) = frames.iter().find(|&&f| shared.freed_frames >> f & 1 == 0) {
            return Err(format!(
                "frame {frame} is lost: all CPUs have finished and it was never freed (SD-14)"
            ));
        }
        if let Some(table) = tables.iter().find(|&&t| shared.freed_tables >> (t - 1) & 1 == 0) {
            return Err(format!(
                "table {table} is lost: all CPUs have finished and it was never freed (SD-14)"
            ));
        }
        if let Some(&space) = roots.iter().find(|&&s| shared.freed_roots >> s & 1 == 0) {
            let name = space_name(space);
            return Err(format!(
                "the root of space {name} is lost: all CPUs have finished and it was never freed (SD-10)"
            ));
        }
        Ok(())
    }

    pub(crate) fn show_given_away(&self, shared: &Shared) -> Option<String> {
        let mut parts = Vec::new();
        parts.extend((0..16).filter(|f| shared.freed_frames >> f & 1 != 0).map(|f| format!("f{f}")));
        parts.extend((0..8).filter(|t| shared.freed_tables >> t & 1 != 0).map(|t| format!("t{}", t + 1)));
        let spaces = |set: u8| (0..MAX_SPACES).filter(move |s| set >> s & 1 != 0).map(space_name);
        parts.extend(spaces(shared.freed_roots).map(|s| format!("root {s}")));
        let revoked = |v: &usize| {
            let frame = self.config.translations[*v - 1].frame;
            shared.dead_values >> v & 1 != 0 && shared.freed_frames >> frame & 1 == 0
        };
        let values = 1..=self.config.translations.len();
        parts.extend(values.filter(revoked).map(|v| self.value_name(v)));
        let pages = (0..MAX_SPACES * MAX_PAGES).filter(|n| shared.unreachable >> n & 1 != 0);
        parts.extend(pages.map(|n| format!("{}.p{}", space_name(n / MAX_PAGES), n % MAX_PAGES)));
        parts.extend(spaces(shared.dead_spaces).map(|s| format!("mappings of {s}")));
        (!parts.is_empty()).then(|| format!("given away: {}", parts.join(", ")))
    }
}

fn touch(shared: &Shared, local: &Local, cpu: usize, page: usize) -> Result<(), Violation> {
    let Some(space) = local.space() else {
        return Err(format!("CPU {cpu} touches page {page} with no root loaded"));
    };
    if !local.is(USER) {
        return Err(format!("CPU {cpu} touches page {page} of space {} while lazy", space_name(space)));
    }
    if shared.dead_spaces >> space & 1 != 0 {
        let name = space_name(space);
        return Err(format!(
            "CPU {cpu} touches page {page} of space {name}, whose mappings are dead (SD-10)"
        ));
    }
    Ok(())
}
