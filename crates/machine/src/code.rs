//! Instructions. A CPU fetches code early and keeps what it has fetched, in a cache and in its pipeline; a store to
//! code reaches it once its context is synchronised: an instruction (x86's `SERIALIZE`, Arm's `ISB`, RISC-V's
//! `fence.i`) or, where the model says so, a return to user code (x86's `IRET`, and not its `SYSRET`). Where
//! instruction caches are not coherent, they have to be invalidated as well. Both are one here: what a CPU may run is
//! what is in its cache and its pipeline.
//!
//! Code is a word in memory whose values are versions of it. After every step each CPU may hold what it could fetch by
//! then; only synchronising takes versions out. The oracle asks which CPU may still run an old one: at an access of its
//! own ([`crate::hw::execute`]), or anywhere once it was declared obsolete ([`crate::hw::obsolete`]).
//!
//! # Under weak memory
//! A CPU that synchronises runs from then on what it knows of, even if only by a plain load (RISC-V, Zifencei: a later
//! fetch sees the data stores "already visible to the same hart"). That orders no page walk. That a CPU ran old code
//! for the last time needs no release to be told: an instruction is fetched before those behind it are executed, so
//! nobody sees a store behind the synchronisation before what was fetched ahead of it (Simner et al., "ARMv8-A System
//! Semantics: Instruction Fetch in Relaxed Architectures"). So code that is declared obsolete is not in use any more
//! where it was dropped, as data might be.

use crate::config::Builder;
use crate::limits::MAX_CODE;
use crate::machine::Machine;
use crate::oracle::broken;
use crate::state::{Local, ONLINE, Privilege, Shared};
use shootdown_explore::{Refetch, View, Violation};

impl Builder {
    /// Adds a piece of kernel code, whose version at the start is `version` (1 to 7). The first is piece 0; up to 2.
    pub fn code(mut self, version: u64) -> Self {
        assert!((1..8).contains(&version) && self.code.len() < MAX_CODE, "{MAX_CODE} pieces of code at most");
        self.code.push(version);
        self
    }

    /// Has `cpu` start with `version` of `piece` fetched, from an earlier time.
    pub fn fetched(mut self, cpu: usize, piece: usize, version: u64) -> Self {
        self.locals[cpu].fetched[piece] |= 1 << version;
        self
    }

    /// Says that every entry to the kernel runs `piece` before it can synchronise for what was left to it.
    pub fn entry_code(mut self, piece: usize) -> Self {
        self.entry_code |= 1 << piece;
        self
    }
}

impl Machine {
    /// Adds what `cpu` could fetch now. Devices and IOMMUs run no code.
    pub(crate) fn fetch(&self, view: &View<'_, Self>, cpu: usize, local: &mut Local) {
        if self.is_device(cpu) || self.is_iommu(cpu) {
            return;
        }
        for piece in 0..self.tables.code.len() {
            let word = self.watched().code(piece);
            view.readable(cpu, word, |version| local.fetched[piece] |= 1u8.wrapping_shl(version as u32));
        }
    }

    /// The code that a CPU which synchronises reads anew, or that all do.
    pub(crate) fn refetch(&self, everywhere: bool) -> Refetch {
        let watched = self.watched();
        Refetch { first: watched.code(0), end: watched.code(self.tables.code.len()), everywhere }
    }

    /// Lets `local` lose what it has fetched.
    pub(crate) fn synchronise(local: &mut Local) {
        local.fetched = Default::default();
    }

    /// Judges that `cpu` runs `piece`, which has to be `version`.
    pub(crate) fn execute(
        &self,
        local: &Local,
        cpu: usize,
        piece: usize,
        version: u64,
    ) -> Result<(), Violation> {
        let others = local.fetched[piece] & !(1 << version);
        if others == 0 {
            return Ok(());
        }
        let old = others.trailing_zeros();
        Err(broken(8, format!("CPU {cpu} may run version {old} of code {piece}, and not {version}")).into())
    }

    /// Pieces of code and their versions that nobody may run.
    pub(crate) fn obsolete_versions(&self, shared: &Shared) -> impl Iterator<Item = (usize, usize)> + use<> {
        let obsolete = shared.obsolete;
        let all = (0..MAX_CODE).flat_map(|piece| (1..8).map(move |version| (piece, version)));
        all.filter(move |&(piece, version)| obsolete[piece] >> version & 1 != 0)
    }

    /// Judges what `cpu` may run of kernel code.
    pub(crate) fn obsolete_code(&self, shared: &Shared, cpu: usize, local: &Local) -> Result<(), Violation> {
        for piece in 0..self.tables.code.len() {
            let runs = local.privilege() == Privilege::Kernel || self.config.entry_code >> piece & 1 != 0;
            let old = local.fetched[piece] & shared.obsolete[piece];
            if runs && local.is(ONLINE) && old != 0 {
                let old = old.trailing_zeros();
                let words =
                    format!("CPU {cpu} can still run version {old} of code {piece}, which is obsolete");
                return Err(broken(8, words).into());
            }
        }
        Ok(())
    }
}
