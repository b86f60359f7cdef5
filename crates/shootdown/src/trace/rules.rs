//! The rules that the engine keeps. This table defines them: switches, commands, tests and tools read it, and `cargo
//! xtask tidy` compares INVARIANTS.md with it.

/// How the kernel under QEMU shows that a rule is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Its shadow of the TLBs names a flush that is missing.
    MissingFlush,
    /// A program reads what another space wrote.
    StaleRead,
    /// CPUs hang, and the kernel says where.
    Hang,
}

macro_rules! rules {
    ($($number:literal: $rule:ident {
        says: $says:literal,
        switch: $switch:literal,
        caught_by: [$($case:literal),+],
        qemu: $qemu:expr,
        in_qemu: $in_qemu:literal,
    })*) => {
        /// A rule of the protocol, SD-1 to [`LAST`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Rule { $(#[doc = $says] $rule = $number,)* }

        impl Rule {
            /// All rules, by number.
            pub const ALL: &'static [Rule] = &[$(Rule::$rule,)*];

            /// What the rule says.
            pub const fn says(self) -> &'static str {
                match self { $(Rule::$rule => $says,)* }
            }

            /// What the engine does instead once the rule is removed (`shootdown check --drop-rule SD-n`).
            pub const fn switch(self) -> &'static str {
                match self { $(Rule::$rule => $switch,)* }
            }

            /// Cases of `shootdown check` that fail without the rule.
            pub const fn caught_by(self) -> &'static [&'static str] {
                match self { $(Rule::$rule => &[$($case),+],)* }
            }

            /// Scenario of the kernel under QEMU that shows the rule missing, and how; `None` where none can.
            pub const fn qemu(self) -> Option<(&'static str, Sign)> {
                match self { $(Rule::$rule => $qemu,)* }
            }

            /// What shows there that the rule is missing, or why nothing can.
            pub const fn in_qemu(self) -> &'static str {
                match self { $(Rule::$rule => $in_qemu,)* }
            }
        }
    };
}

rules! {
    1: MaskCovers {
        says: "If CPU c may hold translations of S that it could use without flushing first, or may start \
               to fill some, c is in S's mask: its bit is set, and the mark over its word where the mask \
               has a summary.",
        switch: "a CPU that switches in does not set its bit; with a summary, does not mark its word",
        caught_by: ["seed", "wide-switch-in"],
        qemu: Some(("remap", Sign::MissingFlush)),
        in_qemu: "canaries and shadow, `remap`, `reuse`",
    }
    2: SelfAdd {
        says: "Only CPU c sets its bit, before it loads S's root; then a full fence; then it reads S's \
               generation and lets the walker in.",
        switch: "the bit is set after the root is loaded",
        caught_by: ["seed"],
        qemu: None,
        in_qemu: "not applicable: the walker would have to fill between the load of the root and the bit, and \
                  TCG fills only for accesses",
    }
    3: SelfRemove {
        says: "Only CPU c clears its bit, after its hardware stopped using the root and its entries are \
               flushed or bound to be flushed before next use.",
        switch: "the bit goes before the root does; trimming clears other CPUs' bits",
        caught_by: ["switch-vs-flush"],
        qemu: Some(("trim", Sign::MissingFlush)),
        in_qemu: "canaries and shadow, `trim`: other CPUs' bits are cleared",
    }
    4: Publish {
        says: "The initiator's page-table stores, then the generation bump, then a full fence, then it \
               reads mask and loaded words.",
        switch: "a flush announces nothing",
        caught_by: ["seed"],
        qemu: Some(("remap", Sign::MissingFlush)),
        in_qemu: "canaries and shadow, `remap`, `reuse`",
    }
    5: SwitchIn {
        says: "Switch-in mirrors SD-4: mark switching, set the bit, full fence, read the generation, \
               install with or without flush.",
        switch: "a returning CPU does not look at the generation",
        caught_by: ["lazy-return"],
        qemu: Some(("lazy", Sign::MissingFlush)),
        in_qemu: "canaries, `lazy`",
    }
    6: AckAfterFlush {
        says: "The request is visible before the interrupt. The target sees the IPI request before it \
               reads what was asked, takes it away before that or only if nothing was asked since, and \
               acknowledges after its flush is complete. An acknowledgement is a generation, never a count.",
        switch: "the acknowledgement comes before the flush",
        caught_by: ["borrow-vs-unmap"],
        qemu: Some(("reuse", Sign::MissingFlush)),
        in_qemu: "shadow, `reuse`: the target's handler flushes before anything can read",
    }
    7: TablesReachLazy {
        says: "A freed page-table page reaches every CPU with the root loaded, lazy ones too.",
        switch: "lazy CPUs are skipped though tables are freed",
        caught_by: ["lazy-vs-table-free", "split-table-free"],
        qemu: Some(("table-free", Sign::MissingFlush)),
        in_qemu: "shadow, `table-free`: TCG caches no tables",
    }
    8: FreeAfterCompletion {
        says: "A frame or table is given back only against the completion of the flush that covers it.",
        switch: "frames are freed once the IPIs are sent",
        caught_by: ["borrow-vs-unmap"],
        qemu: Some(("reuse", Sign::MissingFlush)),
        in_qemu: "canaries and shadow, `reuse`",
    }
    9: NoCountShortcut {
        says: "A reference count bounds who may finish, never who may begin: no decision to skip a CPU \
               rests on one.",
        switch: "one user: flush here only (the seed's bug)",
        caught_by: ["seed"],
        qemu: Some(("reuse", Sign::MissingFlush)),
        in_qemu: "canaries and shadow, `remap`, `reuse`",
    }
    10: TeardownEvicts {
        says: "Mappings die once, when the last user reference goes; the root is freed once, when no struct \
               reference is left and no CPU has it loaded.",
        switch: "the last struct reference evicts nobody",
        caught_by: ["lazy-vs-final-drop"],
        qemu: Some(("many-spaces", Sign::MissingFlush)),
        in_qemu: "shadow of root registers, `many-spaces`; on x86-64 the machine dies as well",
    }
    11: WaitHandlesIpis {
        says: "A CPU that waits polls its own IPI word and handles what it finds, so that nobody needs to \
               interrupt it. Past a bound the platform is told which CPU has not answered, and the wait \
               goes on.",
        switch: "a wait does not poll its own IPI word",
        caught_by: ["masked-flushers"],
        qemu: Some(("masked-flushers", Sign::Hang)),
        in_qemu: "a hang, `masked-flushers`",
    }
    12: TagReuseFlushes {
        says: "While an entry tagged t may be live on c, t on c names one space; a tag is reused only after \
               a flush; identities and generations are 64-bit and never go back.",
        switch: "a tag that has changed hands is not flushed (each allocator has its own place for that; \
                 `shootdown check tags --drop-rule SD-12 --keep-going` shows them)",
        caught_by: ["tag-reuse"],
        qemu: None,
        in_qemu: "not applicable: the kernel runs without tags, which TCG would not keep apart; seen on \
                  sparc64 and loongarch64 (`cargo xtask ci sparc64 loongarch64`)",
    }
    13: HotplugFlushes {
        says: "A CPU that goes off line leaves the space it has loaded and flushes everything, then it is \
               no longer waited for; bits that `OnLeave::KeepBit` left in other masks stay, and mean \
               nothing while it has nothing loaded. It comes back with all flushed.",
        switch: "a CPU comes on line with what it had",
        caught_by: ["kernel-memory-hotplug", "first-boot", "reset-vs-kernel-table"],
        qemu: Some(("hotplug", Sign::MissingFlush)),
        in_qemu: "canaries, `hotplug`: the CPU that is off line reads the window itself, for the speculation \
                  that TCG lacks",
    }
    14: Widen {
        says: "A request that does not fit widens to a full flush; no failure drops a frame or frees one \
               early.",
        switch: "a CPU that is behind by more than the history holds flushes only the latest request",
        caught_by: ["history-overflow", "kernel-history-race"],
        qemu: Some(("lazy", Sign::MissingFlush)),
        in_qemu: "canaries, `lazy`; on riscv64 by the shadow alone, as any fence empties its TLB",
    }
    15: CoverPeers {
        says: "When a gather finishes, everything that it looked at has been flushed, also what another \
               open gather cleared first and has not flushed yet.",
        switch: "a gather flushes what it cleared itself and nothing else",
        caught_by: ["nested-gathers", "nested-gathers-inside", "nested-gathers-empty"],
        qemu: Some(("nested-gathers", Sign::StaleRead)),
        in_qemu: "canaries, `nested-gathers`",
    }
    16: CompletionStays {
        says: "A flush whose ticket was complete once is complete for good: a CPU that was done with it is \
               not asked again.",
        switch: "a ticket asks all CPUs each time",
        caught_by: ["ticket-vs-switch"],
        qemu: None,
        in_qemu: "not applicable: no scenario keeps a ticket",
    }
    17: BatchReachesAll {
        says: "The frames of a batch are given back when every CPU is done with the flush of every space in \
               it; each CPU is told once, after the last flush was announced.",
        switch: "CPUs are told of the last space alone, and no others are waited for",
        caught_by: ["batch-of-spaces", "batch-vs-switch"],
        qemu: None,
        in_qemu: "not applicable: no scenario keeps a batch",
    }
    18: DeferralEnds {
        says: "A flush that CPUs were not told of is carried out when they catch up, that of a space also \
               when they switch; they are told when it is due, or when somebody waits for it.",
        switch: "CPUs are never told of a deferred flush",
        caught_by: ["deferred-waited", "deferred-kernel-waited"],
        qemu: None,
        in_qemu: "not applicable: no scenario keeps a deferred flush",
    }
    19: OnlineAnswers {
        says: "A CPU that comes on line handles what was asked of it before it went off line: the interrupt \
               may be lost, and none is sent while the request is pending.",
        switch: "a CPU comes on line and leaves what was asked of it to an interrupt",
        caught_by: ["reset-vs-kernel-memory"],
        qemu: None,
        in_qemu: "not applicable: no scenario resets a CPU, so that no interrupt is lost",
    }
    20: EntryCatchesUp {
        says: "A flush of kernel memory that frees no tables passes over a CPU in user mode. That CPU says that \
               it is in the kernel; then a full fence; then it reads the generation and flushes what it has \
               missed, before it uses anything that may be unmapped.",
        switch: "a CPU that comes into the kernel does not look at the generation",
        caught_by: ["user-mode-entry", "user-mode-nmi"],
        qemu: None,
        in_qemu: "not applicable: the kernel has no user mode to speak of, calls no `enter_user` and leaves \
                  `USER_MODE` at `false`",
    }
    21: ContextsFollow {
        says: "A CPU that was asked to synchronise its context has done so before it acknowledges; one that \
               is lazy or has another space loaded does so before it runs code of this one.",
        switch: "a CPU acknowledges a request for its context and does nothing",
        caught_by: ["code-vs-user", "code-vs-lazy"],
        qemu: None,
        in_qemu: "not applicable: no scenario changes code, and TCG translates code anew when it is written",
    }
    22: SecondaryAnswers {
        says: "Secondary TLBs are told of a flush after its generation is announced, whichever CPUs it concerns, \
               and it is complete when they have answered as well.",
        switch: "no completion waits for secondary TLBs",
        caught_by: ["secondary-unmap", "secondary-alone"],
        qemu: None,
        in_qemu: "not applicable: no scenario has a device that translates",
    }
}

/// Number of the last rule; the first is 1, and no number is ever reused.
pub const LAST: u8 = Rule::ALL.len() as u8;

impl Rule {
    /// Rule SD-`number`, if there is one.
    ///
    /// ```
    /// use shootdown::trace::rules::Rule;
    /// assert_eq!(Rule::of(9), Some(Rule::NoCountShortcut));
    /// assert_eq!(Rule::of(0), None);
    /// ```
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }

    /// Its number: 9 for SD-9.
    pub const fn number(self) -> u8 {
        self as u8
    }
}

// A number is a rule's place in the table.
const _: () = {
    let mut at = 0;
    while at < Rule::ALL.len() {
        assert!(Rule::ALL[at] as usize == at + 1, "rules stand in the order of their numbers");
        at += 1;
    }
};
