//! The rules by which a state is wrong. Every rule is a predicate over what was given away (never taken back, except on
//! machines that remap) and what CPUs may hold, so a state that breaks one is found whenever it is reached, not only at
//! a flush.

use crate::absent::ABSENT;
use crate::hw::Op;
use crate::limits::{MAX_PAGES, MAX_SPACES};
use crate::machine::Machine;
use crate::state::{ARRIVING, Local, ONLINE, Shared, USER};
use crate::tables::space_name;
use shootdown_explore::{Broken, View, Violation};
use std::fmt;

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
                    return Err(Broken {
                        frame: Some(frame),
                        ..broken(8, format!("CPU {cpu} frees frame {frame}, which was freed before"))
                    }
                    .into());
                }
                shared.freed_frames |= 1 << frame;
                shared.dead_values |= self.leading_to[frame];
            }
            Op::FreeTable { table } => {
                if shared.freed_tables >> (table - 1) & 1 != 0 {
                    return Err(
                        broken(8, format!("CPU {cpu} frees table {table}, which was freed before")).into()
                    );
                }
                shared.freed_tables |= 1 << (table - 1);
            }
            Op::FreeRoot { space } => {
                if shared.freed_roots >> space & 1 != 0 {
                    let name = space_name(space);
                    return Err(broken(
                        10,
                        format!("CPU {cpu} frees the root of space {name}, which was freed before"),
                    )
                    .into());
                }
                shared.freed_roots |= 1 << space;
            }
            Op::Teardown { space } => {
                if shared.dead_spaces >> space & 1 != 0 {
                    let name = space_name(space);
                    return Err(broken(
                        10,
                        format!("CPU {cpu} tears space {name} down, which was torn down before"),
                    )
                    .into());
                }
                shared.dead_spaces |= 1 << space;
            }
            Op::Revoke { value } => shared.dead_values |= 1 << value,
            Op::Unreachable { space, page } => shared.unreachable |= 1 << (space * MAX_PAGES + page),
            Op::Mapped { space, page } => shared.unreachable &= !(1 << (space * MAX_PAGES + page)),
            Op::Obsolete { piece, version } => shared.obsolete[piece] |= 1 << version,
            Op::Execute { piece, version } => return self.execute(local, cpu, piece, version),
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
            self.obsolete_code(&shared, cpu, local)?;
            if local.in_flight & shared.dead_values != 0 {
                let how = format!("an access by CPU {cpu} may still arrive at");
                return Err(self.dead_value(&shared, local.in_flight, &how).into());
            }
            let Some(space) = local.space() else { continue };
            if shared.freed_roots >> space & 1 != 0 {
                let name = space_name(space);
                return Err(broken(
                    10,
                    format!(
                        "{who} has the root of space {name} loaded, which was freed",
                        who = self.who(cpu)
                    ),
                )
                .into());
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
                return Err(broken(
                    7,
                    format!(
                        "{who} {how} still walk table {table} in space {}, which was freed",
                        space_name(space),
                        who = self.who(cpu)
                    ),
                )
                .into());
            }
            let space = self.owner(space);
            if let (true, Some((index, bit))) = (local.is(ONLINE), self.watched().masks[space][cpu]) {
                if view.memory(index) >> bit & 1 == 0 {
                    let name = space_name(space);
                    return Err(broken(
                        1,
                        format!(
                            "{who} has the root of space {name} loaded but is not in its mask",
                            who = self.who(cpu)
                        ),
                    )
                    .into());
                }
            }
            if local.is(USER) {
                self.usable(&shared, cpu, local, space)?;
            }
        }
        Ok(())
    }

    /// Judges what a CPU may use of kernel memory. One that is off line uses nothing that can be unmapped, and one that
    /// comes on line nothing before it says that it has flushed.
    fn kernel(&self, view: &View<'_, Self>, cpu: usize, local: &Local) -> Result<(), Violation> {
        let shared = &*view.shared;
        if !local.is(ONLINE) || local.is(ARRIVING) && !self.acknowledges_latest(view, cpu) {
            return Ok(());
        }
        let dead = |page: &usize| self.usable_by_kernel(local, *page) & shared.dead_values != 0;
        if let Some(page) = (0..self.tables.kernel.len()).find(dead) {
            return Err(self.kernel_violation(shared, cpu, local, page));
        }
        let table = self.tables.kernel_table();
        if local.kernel_walk && shared.freed_tables >> (table - 1) & 1 != 0 {
            return Err(
                broken(7, format!("CPU {cpu} can still walk kernel table {table}, which was freed")).into()
            );
        }
        Ok(())
    }

    /// Judges a CPU that runs user code of `space`.
    fn usable(&self, shared: &Shared, cpu: usize, local: &Local, space: usize) -> Result<(), Violation> {
        let name = space_name(space);
        if shared.dead_spaces >> space & 1 != 0 {
            return Err(broken(
                10,
                format!(
                    "{who} is in user mode in space {name}, whose mappings are dead",
                    who = self.who(cpu)
                ),
            )
            .into());
        }
        let gone = shared.unreachable >> (space * MAX_PAGES);
        for (page, &held) in local.tlb[usize::from(local.tag)].iter().enumerate() {
            let set = held & !ABSENT;
            if set == 0 {
                continue;
            }
            if set & shared.dead_values != 0 {
                let how = format!("{who} can still use page {page} of space {name} ->", who = self.who(cpu));
                return Err(Broken { page: Some(page), ..self.dead_value(shared, set, &how) }.into());
            }
            if gone >> page & 1 != 0 {
                return Err(Broken {
                    page: Some(page),
                    ..broken(
                        8,
                        format!(
                            "{who} can still use page {page} of space {name}, which was unmapped",
                            who = self.who(cpu)
                        ),
                    )
                }
                .into());
            }
            if set & self.foreign[space] != 0 {
                let value = (set & self.foreign[space]).trailing_zeros() as usize;
                let meant = self.config.translations[value - 1];
                let owner = meant.space.map_or('?', space_name);
                return Err(Broken {
                    page: Some(page),
                    frame: Some(meant.frame),
                    ..broken(
                        12,
                        format!(
                            "{who}, in space {name}, can use page {page} -> frame {} of space {owner}",
                            meant.frame,
                            who = self.who(cpu)
                        ),
                    )
                }
                .into());
            }
        }
        Ok(())
    }

    /// Judges root entries that name a freed table, of spaces that can still be walked.
    fn linked(&self, view: &View<'_, Self>) -> Result<(), Violation> {
        let shared = *view.shared;
        for space in 0..self.config.spaces {
            if shared.freed_roots >> space & 1 != 0 || shared.dead_spaces >> self.owner(space) & 1 != 0 {
                continue;
            }
            for entry in 0..self.tables.per_space {
                let table = view.memory(self.watched().root(space, entry));
                let freed = table != 0 && table <= 8 && shared.freed_tables >> (table - 1) & 1 != 0;
                if freed {
                    let name = space_name(space);
                    return Err(broken(7, format!("root entry {entry} of space {name} still points to table {table}, which was freed")).into());
                }
            }
        }
        self.kernel_linked(view, &shared).map_or(Ok(()), |broken| Err(broken.into()))
    }

    fn kernel_violation(&self, shared: &Shared, cpu: usize, local: &Local, page: usize) -> Violation {
        let how = format!("CPU {cpu} can still use kernel page {page} ->");
        Broken { page: Some(page), ..self.dead_value(shared, local.kernel[page], &how) }.into()
    }

    /// The fault where `how` is followed by one of the values of `set` that nobody may use.
    pub(crate) fn dead_value(&self, shared: &Shared, set: u16, how: &str) -> Broken {
        let value = (set & shared.dead_values).trailing_zeros() as usize;
        let meant = self.config.translations[value - 1];
        let what = match (shared.freed_frames >> meant.frame & 1 != 0, meant.writable) {
            (true, _) => ", which was freed",
            (false, true) => " writable, which was revoked",
            (false, false) => " read-only, which was revoked",
        };
        Broken { frame: Some(meant.frame), ..broken(8, format!("{how} frame {}{what}", meant.frame)) }
    }

    /// Judges an end at which something was never given back.
    pub(crate) fn lost(&self, shared: &Shared) -> Result<(), Violation> {
        let [frames, tables, roots] = &self.config.must_free;
        if let Some(frame) = frames.iter().find(|&&f| shared.freed_frames >> f & 1 == 0) {
            return Err(Broken {
                frame: Some(*frame),
                ..broken(14, format!("frame {frame} is lost: all CPUs have finished and it was never freed"))
            }
            .into());
        }
        if let Some(table) = tables.iter().find(|&&t| shared.freed_tables >> (t - 1) & 1 == 0) {
            return Err(broken(
                14,
                format!("table {table} is lost: all CPUs have finished and it was never freed"),
            )
            .into());
        }
        if let Some(&space) = roots.iter().find(|&&s| shared.freed_roots >> s & 1 == 0) {
            let name = space_name(space);
            return Err(broken(
                10,
                format!("the root of space {name} is lost: all CPUs have finished and it was never freed"),
            )
            .into());
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
        parts.extend(
            self.obsolete_versions(shared).map(|(piece, old)| format!("version {old} of code {piece}")),
        );
        (!parts.is_empty()).then(|| format!("given away: {}", parts.join(", ")))
    }
}

/// A rule that is broken, by its number.
pub(crate) fn broken(rule: u8, words: impl fmt::Display) -> Broken {
    Broken { words: format!("{words} (SD-{rule})"), rule: Some(rule), ..Broken::default() }
}

fn touch(shared: &Shared, local: &Local, cpu: usize, page: usize) -> Result<(), Violation> {
    let Some(space) = local.space() else {
        return Err(format!("CPU {cpu} touches page {page} with no root loaded").into());
    };
    if !local.is(USER) {
        let name = space_name(space);
        return Err(format!("CPU {cpu} touches page {page} of space {name} while lazy").into());
    }
    if shared.dead_spaces >> space & 1 != 0 {
        let name = space_name(space);
        return Err(Broken {
            page: Some(page),
            ..broken(10, format!("CPU {cpu} touches page {page} of space {name}, whose mappings are dead"))
        }
        .into());
    }
    Ok(())
}
