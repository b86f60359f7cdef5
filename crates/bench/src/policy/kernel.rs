//! A kernel that does what its [`Style`] says.

use super::state::{Call, Cpu, SLOTS, Slot, Space, State, What};
use super::style::{Counts, Lazy, Mask, Requests, Style, Tags, Transport};
use super::words;
use crate::machine::model::{fence, flush_pages, flush_tag, let_others_go_first, me, wait_until};
use crate::machine::{PageTables, Pages, Policy, Request, SECOND, with};
use std::cell::{RefCell, RefMut};

/// Flushes of a CPU after which powerpc asks members to go (`tlb_mm_cpumask_trim_timer`).
const TRIM_EVERY: u64 = 1073;

/// The CPUs that a flush by hardware must reach.
enum Targets {
    None,
    ThisCpu,
    AllMembers,
}

/// A modelled kernel.
#[derive(Debug)]
pub(super) struct Kernel {
    style: Style,
    state: RefCell<State>,
}

impl Kernel {
    pub(super) fn new(style: Style) -> Self {
        Self { style, state: RefCell::default() }
    }

    fn cpu(&self, cpu: u32) -> RefMut<'_, Cpu> {
        RefMut::map(self.state.borrow_mut(), |state| &mut state.cpus[cpu as usize])
    }

    fn space(&self, space: u32) -> RefMut<'_, Space> {
        RefMut::map(self.state.borrow_mut(), |state| state.space(space))
    }

    fn cpus(&self) -> u32 {
        self.state.borrow().cpus.len() as u32
    }

    /// Tag under which the current CPU runs what it has loaded, or would run `space`.
    fn tag(&self, space: u32) -> u16 {
        match self.style.tags {
            Tags::None => 0,
            Tags::Slots => self.cpu(me()).slot as u16 + 1,
            Tags::Global => (space % 0xffff) as u16 + 1,
        }
    }

    fn has_mask(&self) -> bool {
        matches!(self.style.mask, Mask::Loaded | Mask::UntilUseless | Mask::Grows | Mask::ResetByOneUser)
    }

    /// Puts the current CPU into the mask; says whether it was there.
    fn join(&self, space: u32) -> bool {
        if !self.has_mask() {
            return true;
        }
        let me = me();
        words::mask(space, me / 64).read();
        let mut state = self.space(space);
        let word = &mut state.mask[me as usize / 64];
        if *word & 1 << (me % 64) != 0 {
            return true;
        }
        *word |= 1 << (me % 64);
        state.members += 1;
        words::mask(space, me / 64).update();
        if self.style.transport == Transport::HardwareAndTrim {
            words::members(space).update();
        }
        false
    }

    /// Takes the current CPU out of the mask.
    fn part(&self, space: u32) {
        let me = me();
        let mut state = self.space(space);
        let word = &mut state.mask[me as usize / 64];
        if *word & 1 << (me % 64) == 0 {
            return;
        }
        *word &= !(1 << (me % 64));
        state.members -= 1;
        words::mask(space, me / 64).update();
        if self.style.transport == Transport::HardwareAndTrim {
            words::members(space).update();
        }
    }

    /// Makes the current CPU count for `space`, and no more for what it counted for.
    fn count(&self, space: Option<u32>) {
        let before = std::mem::replace(&mut self.cpu(me()).counted, space);
        if before == space {
            return;
        }
        if let Some(space) = space {
            words::count(space).update();
            self.space(space).counted += 1;
        }
        if let Some(before) = before {
            words::count(before).update();
            let last = {
                let mut state = self.space(before);
                state.counted -= 1;
                state.ended && state.counted == 0
            };
            if last {
                with(|hw| hw.free_root(before));
            }
        }
    }

    /// Loads `space` in place of what the current CPU has.
    fn load(&self, space: u32) {
        let me = me();
        let previous = self.cpu(me).loaded;
        if let (Some(previous), Mask::Loaded) = (previous, self.style.mask) {
            self.part(previous);
        }
        if self.style.generations {
            words::loaded(me).write();
        }
        let known = self.join(space);
        fence();
        let keep = self.pick_tag(space);
        let tag = self.tag(space);
        with(|hw| hw.install(Some(space), tag, keep));
        self.flush_at_first_run(known, tag);
        self.cpu(me).loaded = Some(space);
        words::loaded(me).write();
    }

    /// sparc64: a context's first run on a CPU flushes it there.
    fn flush_at_first_run(&self, known: bool, tag: u16) {
        let grows = matches!(self.style.mask, Mask::Grows | Mask::ResetByOneUser);
        if !known && grows && self.style.transport == Transport::PairLines {
            flush_tag(tag);
        }
    }

    /// Counts the current CPU as a user of what it has loaded, or no longer.
    fn count_user(&self, uses: bool) {
        let Some(space) = self.cpu(me()).loaded else { return };
        let mut space = self.space(space);
        space.users = if uses { space.users + 1 } else { space.users - 1 };
    }

    /// sparc64 before bafb056ce279: where the count says "one user" the mask becomes this CPU alone. A borrower may
    /// begin between the look at the count and the store to the mask.
    fn reset_mask_by_one_user(&self, space: u32) {
        if self.style.mask != Mask::ResetByOneUser {
            return;
        }
        words::count(space).read();
        if self.space(space).users != 1 {
            return;
        }
        let_others_go_first();
        let me = me();
        let mut state = self.space(space);
        state.mask.fill(0);
        state.mask[me as usize / 64] = 1 << (me % 64);
        state.members = 1;
        drop(state);
        words::mask(space, me / 64).update();
    }

    /// Picks a tag; says whether what the TLB has under it may stay.
    fn pick_tag(&self, space: u32) -> bool {
        if self.style.tags == Tags::Global {
            return true;
        }
        if self.style.generations {
            words::generation(space).read();
        }
        let generation = self.space(space).generation;
        let slots = if self.style.tags == Tags::Slots { SLOTS } else { 1 };
        let mut cpu = self.cpu(me());
        let found = cpu.slots[..slots].iter().position(|slot| slot.space == Some(space));
        let slot = found.unwrap_or_else(|| {
            cpu.next = (cpu.next + 1) % slots;
            cpu.next
        });
        let keep =
            self.style.tags == Tags::Slots && found.is_some() && cpu.slots[slot].generation == generation;
        cpu.slot = slot;
        cpu.slots[slot] = Slot { space: Some(space), generation };
        keep
    }

    /// Loads the kernel's own root.
    fn unload(&self) {
        let me = me();
        let Some(space) = self.cpu(me).loaded.take() else { return };
        with(|hw| hw.install(None, 0, true));
        if self.style.mask == Mask::Loaded {
            self.part(space);
        }
    }

    /// Flushes the current CPU's own TLB.
    fn flush_here(&self, space: u32, pages: Pages, tables: PageTables, generation: u64) {
        let tag = self.tag(space);
        if self.style.mask == Mask::Holders {
            return with(|hw| hw.drop_stale());
        }
        let mut few = pages.count != 0 && pages.count <= self.style.ceiling;
        if self.style.generations {
            let mut cpu = self.cpu(me());
            let slot = cpu.slot;
            let seen = cpu.slots[slot].generation;
            if seen >= generation {
                return;
            }
            drop(cpu);
            words::generation(space).read();
            let now = self.space(space).generation;
            few &= generation == seen + 1 && generation == now;
            cpu = self.cpu(me());
            cpu.slots[slot].generation = now;
        }
        match few {
            true => flush_pages(tag, pages, tables),
            false => flush_tag(tag),
        }
    }

    /// CPUs that a flush must reach.
    fn targets(&self, request: &Request<'_>, tables: PageTables) -> Vec<u32> {
        let me = me();
        match self.style.mask {
            Mask::Nobody => Vec::new(),
            Mask::Everyone => (0..self.cpus()).filter(|&cpu| cpu != me).collect(),
            Mask::Holders => with(|hw| hw.stale_users(request.space, request.retired)),
            Mask::Loaded | Mask::UntilUseless | Mask::Grows | Mask::ResetByOneUser => {
                let members = self.members(request.space);
                if !members.is_empty() {
                    with(|hw| hw.totals.remote_flushes += 1);
                }
                let trims = !members.is_empty() && self.trims(request.space);
                let is_reached = |cpu: &u32| {
                    self.must_be_told(*cpu, request.space, tables) || trims && !self.cpu(*cpu).lazy
                };
                members.into_iter().filter(is_reached).collect()
            }
        }
    }

    /// Members of the mask besides the current CPU.
    fn members(&self, space: u32) -> Vec<u32> {
        let me = me();
        let mask = self.space(space).mask.clone();
        let mut members = Vec::new();
        for (word, bits) in mask.into_iter().enumerate() {
            words::mask(space, word as u32).read();
            let all = (0..64).filter(|bit| bits & 1 << bit != 0).map(|bit| word as u32 * 64 + bit);
            members.extend(all.filter(|&cpu| cpu != me));
        }
        members
    }

    /// Whether a flush also reaches members that are elsewhere, once a second, so that they take their bits away.
    fn trims(&self, space: u32) -> bool {
        let now = with(|hw| hw.now());
        let mut space = self.space(space);
        if self.style.mask != Mask::UntilUseless || now <= space.next_trim {
            return false;
        }
        space.next_trim = now + SECOND;
        true
    }

    fn must_be_told(&self, cpu: u32, space: u32, tables: PageTables) -> bool {
        if self.style.lazy != Lazy::Skipped || tables == PageTables::Freed {
            return true;
        }
        words::lazy(cpu).read();
        let (lazy, loaded) = {
            let state = self.cpu(cpu);
            (state.lazy, state.loaded)
        };
        if self.style.mask == Mask::UntilUseless && !lazy {
            // 6.13 and later look at what is loaded as well.
            words::loaded(cpu).read();
            return loaded == Some(space);
        }
        !lazy
    }

    /// Asks `targets`, does the current CPU's part meanwhile, and waits for the answers.
    fn call(&self, targets: &[u32], call: Call, here: impl FnOnce()) {
        let me = call.from;
        if !targets.is_empty() {
            words::request(me).write();
        }
        self.cpu(me).awaited = targets.to_vec();
        let mut at_once = Vec::new();
        for &target in targets {
            if self.style.transport == Transport::PairLines {
                words::answer(me, target).update();
            }
            if self.style.requests == Requests::OneAtATime {
                wait_until(|| {
                    words::queue(target).read();
                    self.cpu(target).calls.is_empty()
                });
            }
            words::queue(target).update();
            let pending = !self.cpu(target).calls.is_empty();
            self.cpu(target).calls.push(call);
            with(|hw| match pending && self.style.requests == Requests::Merge {
                true => hw.totals.merged += 1,
                false if self.style.multicast => at_once.push(target),
                false => hw.send_ipi(target),
            });
        }
        with(|hw| hw.send_ipis(at_once));
        here();
        match self.style.transport {
            Transport::Counter if !targets.is_empty() => wait_until(|| {
                words::answers(me).read();
                self.cpu(me).awaited.is_empty()
            }),
            Transport::Counter => {}
            _ => targets.iter().for_each(|&target| {
                wait_until(|| {
                    words::answer(me, target).read();
                    !self.cpu(me).awaited.contains(&target)
                });
            }),
        }
    }

    fn answer(&self, call: Call) {
        let me = me();
        match self.style.transport {
            Transport::Counter => {
                words::answers(call.from).update();
                self.cpu(call.from).awaited.retain(|&cpu| cpu != me);
            }
            _ => {
                self.cpu(call.from).awaited.retain(|&cpu| cpu != me);
                words::answer(call.from, me).write();
            }
        }
    }

    /// What the target of an IPI does about one request.
    fn take(&self, call: Call) {
        words::request(call.from).read();
        let (loaded, lazy) = {
            let cpu = self.cpu(me());
            (cpu.loaded, cpu.lazy)
        };
        let here = loaded == Some(call.space);
        match call.what {
            What::Trim if here && !lazy => flush_tag(self.tag(call.space)),
            What::Trim => {
                if here {
                    self.unload();
                }
                self.part(call.space);
                flush_tag(self.tag(call.space));
            }
            What::Flush { .. } if !here && self.style.mask == Mask::UntilUseless => self.part(call.space),
            What::Flush { .. } if !here && self.style.tags != Tags::Global => {}
            What::Flush { .. } if lazy && self.style.lazy == Lazy::Skipped => self.unload(),
            What::Flush { pages, tables, generation } => {
                self.flush_here(call.space, pages, tables, generation);
            }
        }
    }

    /// Flushes where the hardware reaches other CPUs.
    fn flush_by_hardware(&self, space: u32, pages: Pages, tables: PageTables) {
        let tag = self.tag(space);
        let up_to = |ceiling| if pages.count <= ceiling { pages } else { Pages::ALL };
        match self.reach(space) {
            Targets::None => {}
            Targets::ThisCpu => match up_to(self.style.local_ceiling) {
                Pages { count: 0, .. } => flush_tag(tag),
                pages => flush_pages(tag, pages, tables),
            },
            Targets::AllMembers => with(|hw| hw.broadcast(tag, up_to(self.style.ceiling), tables)),
        }
    }

    /// The CPUs that a flush by hardware must reach (powerpc: `flush_type_needed`); IPIs may be sent to find out.
    fn reach(&self, space: u32) -> Targets {
        if self.style.transport == Transport::Hardware {
            return Targets::AllMembers;
        }
        words::members(space).read();
        let (members, mine, users) = {
            let state = self.space(space);
            let mine = state.mask[me() as usize / 64] & 1 << (me() % 64) != 0;
            (state.members, mine, state.users)
        };
        let (runs, lazy) = {
            let cpu = self.cpu(me());
            (cpu.loaded == Some(space), cpu.lazy)
        };
        let runs = runs && !lazy;
        match (members, mine, runs) {
            (0, ..) => return Targets::None,
            (1, true, false) if self.trim_is_due() => return self.reach_without_me(space),
            (1, true, _) => return Targets::ThisCpu,
            // The only thread of a process tries to be the only member.
            (.., true) if users <= 1 => {}
            _ if !self.trim_is_due() => return Targets::AllMembers,
            _ => {}
        }
        let call = Call { from: me(), space, what: What::Trim };
        self.call(&self.members(space), call, || {});
        match (runs, mine) {
            (true, _) => Targets::ThisCpu,
            (false, true) => self.reach_without_me(space),
            (false, false) => Targets::None,
        }
    }

    /// The current CPU, which does not run `space`, leaves it and its mask (powerpc: `exit_lazy_flush_tlb`); so nobody
    /// is left.
    fn reach_without_me(&self, space: u32) -> Targets {
        self.take(Call { from: me(), space, what: What::Trim });
        Targets::None
    }

    fn trim_is_due(&self) -> bool {
        let mut cpu = self.cpu(me());
        cpu.flushes += 1;
        cpu.flushes % TRIM_EVERY == 0
    }
}

impl Policy for Kernel {
    fn boot(&self, cpus: u32) {
        self.state.borrow_mut().cpus.resize_with(cpus as usize, Cpu::default);
    }

    fn create(&self, space: u32) {
        if self.style.generations {
            words::identities().update();
        }
        self.state.borrow_mut().create(space);
        self.space(space).next_trim = with(|hw| hw.now()) + SECOND;
    }

    fn switch(&self, space: u32) {
        let me = me();
        let (loaded, lazy) = {
            let mut cpu = self.cpu(me);
            (cpu.loaded, std::mem::replace(&mut cpu.lazy, false))
        };
        let was_user = loaded.is_some() && !lazy;
        if was_user {
            self.count_user(false);
        }
        if loaded != Some(space) {
            self.load(space);
        } else if self.style.mask == Mask::ResetByOneUser {
            let known = self.join(space);
            self.flush_at_first_run(known, self.tag(space));
        } else if lazy && self.style.lazy == Lazy::Skipped {
            words::lazy(me).write();
            fence();
            words::generation(space).read();
            let now = self.space(space).generation;
            let slot = self.cpu(me).slot;
            if self.cpu(me).slots[slot].generation < now {
                self.cpu(me).slots[slot].generation = now;
                let tag = self.tag(space);
                with(|hw| hw.install(Some(space), tag, false));
            }
        }
        self.count_user(true);
        if self.style.mask == Mask::Holders {
            with(|hw| hw.drop_stale());
        }
        match self.style.counts {
            Counts::Lazies => self.count(None),
            Counts::Loaded => self.count(Some(space)),
            Counts::Nobody => {}
        }
    }

    fn enter_lazy(&self) {
        let me = me();
        let (loaded, lazy) = {
            let mut cpu = self.cpu(me);
            (cpu.loaded, std::mem::replace(&mut cpu.lazy, true))
        };
        if lazy || loaded.is_none() {
            return;
        }
        self.count_user(false);
        match self.style.lazy {
            Lazy::Skipped => words::lazy(me).write(),
            Lazy::Disturbed => {}
            Lazy::Leaves => self.unload(),
        }
        if self.style.counts == Counts::Lazies {
            self.count(loaded);
        }
    }

    fn flush(&self, request: &Request<'_>) {
        let me = me();
        let space = request.space;
        let (mut pages, mut tables) = (request.pages, request.tables);
        if self.style.gathers {
            words::gathers(space).update();
            let mut state = self.space(space);
            state.gathers += 1;
            if state.gathers > 1 {
                (pages, tables) = (Pages::ALL, PageTables::Freed);
            }
        }
        if self.style.generations {
            words::generation(space).update();
            self.space(space).generation += 1;
        }
        fence();
        self.reset_mask_by_one_user(space);
        if matches!(self.style.transport, Transport::Hardware | Transport::HardwareAndTrim) {
            self.flush_by_hardware(space, pages, tables);
        } else {
            let generation = self.space(space).generation;
            let call = Call { from: me, space, what: What::Flush { pages, tables, generation } };
            self.call(&self.targets(request, tables), call, || {
                if self.cpu(me).loaded == Some(space) {
                    self.flush_here(space, pages, tables, generation);
                }
            });
        }
        if self.style.gathers {
            words::gathers(space).update();
            self.space(space).gathers -= 1;
        }
    }

    fn end(&self, space: u32) {
        self.state.borrow_mut().end(space);
        let counted = self.space(space).counted;
        if counted == 0 && self.style.counts != Counts::Nobody {
            with(|hw| hw.free_root(space));
        }
    }

    fn handle_ipi(&self) {
        let me = me();
        words::queue(me).update();
        let calls = std::mem::take(&mut self.cpu(me).calls);
        for call in calls {
            self.take(call);
            self.answer(call);
        }
    }
}
