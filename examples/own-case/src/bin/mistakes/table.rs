// The mistakes: the name of the model, what is wrong with it, how its broken protocol is said to end, and what `check` answers. Where
// the mistake is about something else, nothing is said of the end.
mistakes! {
    /// The broken variant does what the mended one does.
    "toy-broken-holds" BrokenHolds "" ["HOLDS", "the broken protocol must break a rule"];
    "toy-panics" Panics "" ["PANICS", "an index is out of range"];
    "toy-panics-in-handler" PanicsInHandler ENDS ["fixed: PANICS", "the handler has no request"];
    "toy-build-panics" BuildPanics "" ["`build`", "cannot be built: there is no such machine"];
    "toy-build-hangs" BuildHangs "" [
        "toy-build-hangs/broken: the code that builds the model does not come to its end",
    ];
    "toy-build-exits" BuildExits "" [
        "toy-build-exits/broken: code that no CPU runs", "ends the process", "`process::exit`",
    ];
    "toy-exits" Exits "" [
        "toy-exits/broken: CPU 0's code ends the process after its step at src/bin/mistakes.rs:",
    ];
    "toy-exits-in-handler" ExitsInHandler "" ["/fixed: CPU 1's code ends the process", "`process::exit`"];
    "toy-aborts" Aborts "" [
        "toy-aborts/broken: CPU 0's code aborts the process after its step at src/bin/mistakes.rs:",
    ];
    "toy-panics-in-destructor" PanicsInDestructor "" [
        "CPU 0's code aborts the process", "a panic in a destructor",
    ];
    /// More memory than there is.
    "toy-huge-allocation" HugeAllocation "" [
        "toy-huge-allocation/broken: CPU 0's code aborts the process", "an allocation that is too large",
    ];
    /// A thread of the model's own panics, and nobody asks for its result.
    "toy-thread-panics" ThreadPanics "" [
        "toy-thread-panics/broken: a thread of the model's own panics", "nobody joins",
    ];
    "toy-thread-exits" ThreadExits "" ["toy-thread-exits/broken: code that no CPU runs", "ends the process"];
    "toy-spins-on-word" SpinsOnWord "" ["LIVELOCK", "CPU 0 is at src/bin/mistakes.rs", "sync::wait_until"];
    "toy-spins-without-steps" SpinsWithoutSteps "" [
        "CPU 0's main code does not come back", "mistakes.rs:", "sync::wait_until",
    ];
    /// Waits by a loop for a flag of the standard library, of which the explorer knows nothing.
    "toy-std-atomic" StdAtomic "" ["CPU 0's main code does not come back", "sync::wait_until"];
    /// The same in `wait_until`.
    "toy-std-atomic-in-wait" StdAtomicInWait "" ["DEADLOCK", "its condition reads no word"];
    /// Holds a lock of the standard library over a step.
    "toy-std-mutex" StdMutex "" ["CPU 1's main code does not come", "`kit::Lock`"];
    "toy-std-thread" StdThread "" [
        "mistakes.rs:", "\"flushed\" is used past the explorer",
        "/broken: a thread of the model's own panics",
    ];
    "toy-sleeps" Sleeps "" ["CPU 0's main code does not come back", "a sleep of the standard library"];
    "toy-recursion" Recursion "" ["CPU 0's code overflows its stack after its step at", "deep recursion"];
    "toy-allocates-without-steps" AllocatesWithoutSteps "" ["CPU 0's main code does not come back"];
    "toy-allocates-per-step" AllocatesPerStep "" ["MISUSES", "more than 20000 steps", "sync::wait_until"];
    "toy-counts-for-ever" CountsForEver "" ["STOPPED", "a word that counts for ever"];
    "toy-no-fence" NoFence "" ["fixed: VIOLATES", "the mended protocol must hold"];
    "toy-zero-cpus" ZeroCpus "" ["a machine has 1 to 8 CPUs, not 0"];
    "toy-nine-cpus" NineCpus "" ["a machine has 1 to 8 CPUs, not 9"];
    "toy-sixty-five-cpus" SixtyFiveCpus "" ["a machine has 1 to 8 CPUs, not 65"];
    "toy-cpus-differ" CpusDiffer "" ["the broken protocol has 2 CPUs, the mended one 3"];
    "toy-more-cpus-than-machine" MoreCpusThanMachine "" ["3 CPUs are to run on a machine of 2"];
    "toy-gets-stuck" GetsStuck "" ["DEADLOCK", "it breaks none of the rules SD-n"];
    "toy-nothing-registered" NothingRegistered "" ["PANICS", "must call Machine::register"];
    "toy-word-not-registered" WordNotRegistered "" ["\"flushed\"", "Registry::object"];
    /// Two words of one object have one name.
    "toy-namesakes-in-object" NamesakesInObject "" ["\"twin\"", "Registry::array"];
    "toy-huge-array" HugeArray "" ["STOPPED", "words are in use, \"many\" among them"];
    "toy-random" Random "" ["MISUSES", "not deterministic"];
    "toy-random-once" RandomOnce "" ["MISUSES", "not deterministic"];
    "toy-clock" Clock "" ["MISUSES", "not deterministic", "sync::choose"];
    /// A static of the standard library outlives each execution.
    "toy-static-state" StaticState "" ["MISUSES", "not deterministic", "`sync::Word`"];
    "toy-word-on-stack" WordOnStack "" ["MISUSES", "the word local is on the stack"];
    "toy-large-stack" LargeStack "" ["CPU 0's code overflows its stack after its step at", "256 KiB"];
    "toy-fix-does-nothing" FixDoesNothing "" ["never comes to what the broken one does: free frame 1"];
    "toy-fix-never-frees" FixNeverFrees "" ["never comes to what the broken one does: free frame 1"];
    "toy-fix-panics" FixPanics "" ["fixed: PANICS", "the mended protocol panics"];
    /// It catches its own panic.
    "toy-fix-swallows-panic" FixSwallowsPanic "" ["fixed: PANICS", "nobody is told"];
    /// It waits long, and for nobody.
    "toy-fix-delays" FixDelays "" ["fixed: VIOLATES", "the mended protocol must hold"];
    "toy-fix-frees-other-frame" FixFreesOtherFrame "" [
        "never comes to what the broken one does: free frame 1",
    ];
    /// It gives the frame back in some executions.
    "toy-fix-frees-sometimes" FixFreesSometimes "" ["fixed: VIOLATES", "frame 1 is lost"];
    "toy-fix-gets-stuck" FixGetsStuck "" ["fixed: DEADLOCK", "the mended protocol must hold"];
    /// Its machine lacks a fact of the broken one's.
    "toy-fix-changes-hardware" FixChangesHardware "" ["runs on other hardware", "`late_accesses` differs"];
    /// Nothing is judged on its machine.
    "toy-no-oracle" NoOracle "" ["without_oracle", "nothing can go wrong on it"];
    /// The mended machine starts without the other CPU.
    "toy-fix-removes-victim" FixRemovesVictim "" ["CPU 1 of the mended protocol starts otherwise"];
    "toy-fix-never-waits" FixNeverWaits "" ["fixed: VIOLATES", "the mended protocol must hold"];
    /// It answers before it flushes.
    "toy-fix-answers-first" FixAnswersFirst "" ["fixed: VIOLATES", "the mended protocol must hold"];
    "toy-fix-flushes-other-page" FixFlushesOtherPage "" ["fixed: VIOLATES", "the mended protocol must hold"];
    /// The only rule that breaks is that nothing is freed, and nothing says that this is the bug.
    "toy-nothing-freed" NothingFreed "" ["it gives nothing back", "frame 1 is lost"];
    "toy-wait-stores" WaitStores "" ["MISUSES", "may only load words"];
    "toy-raises-on-cpu-nine" RaisesOnCpuNine "" ["MISUSES", "raise(9, 0) on a machine of 2 CPUs"];
    "toy-no-such-line" NoSuchLine "" ["MISUSES", "raise(1, 77): lines go up to 31"];
    "toy-huge-value" HugeValue "" ["MISUSES", "walks into 0x4d"];
    "toy-no-such-page" NoSuchPage "" ["MISUSES", "flush page 5 (it has 2 CPUs, 1 spaces with pages 0 to 1"];
    "toy-no-such-frame" NoSuchFrame "" ["MISUSES", "cannot do this: free frame 77 (it has", "frames 1)"];
    "toy-no-such-tag" NoSuchTag "" ["MISUSES", "cannot do this: flush tag 3 (it has", "tags 0 to 0"];
    "toy-frees-twice" FreesTwice "" ["fixed: VIOLATES", "frees frame 1, which was freed before"];
    "toy-goes-offline" GoesOffline "" ["MISUSES", "CPU 0 is offline"];
    /// Waits with interrupts off for a CPU that waits likewise.
    "toy-waits-masked" WaitsMasked "" [
        "DEADLOCK", "CPU 0 waits for toy.flushed", "CPU 1 waits for toy.flushed",
    ];
    "toy-nmi-takes-lock" NmiTakesLock "" ["fixed: DEADLOCK", "CPU 0 waits for toy.held"];
    /// CPU 1 does not run at all.
    "toy-vacuous" Vacuous "" ["HOLDS", "the broken protocol must break a rule"];
    "toy-other-words" OtherWords "CPU 0 can still use page 1 of space A -> frame 1, which was freed (SD-8)" [
        "ends otherwise", "CPU 1 can still use page 0", "CPU 0 can still use page 1",
    ];
    "toy-other-rule" OtherRule "CPU 1 can still use page 0 of space A -> frame 1, which was freed (SD-7)" [
        "ends otherwise", "(SD-8)", "(SD-7)",
    ];
    "toy" NameOfOneWord "" ["`name` \"toy\"", "as in \"toy-munmap\""];
    "toy-no-source" NoSource "" ["`code` shows no source", "include_str!"];
    /// The page shows another file.
    "toy-other-source" OtherSource "" ["steps are in mistakes.rs, which `code` does not show"];
    "toy-source-by-path" SourceByPath "" ["`code` shows no source", "its name without folders"];
    // The same mistakes in other models.
    again
    "toy-panics-as-stated" Panics "an index is out of range" [
        "PANICS", "the broken protocol must break a rule",
    ];
    "toy-gets-stuck-otherwise" GetsStuck ENDS [
        "ends otherwise", "no CPU can go on", "CPU 1 can still use page 0",
    ];
    "toy-twin" BrokenHolds "" ["`name`: 2 models are called \"toy-twin\""];
    "toy-twin" BrokenHolds "" ["`name`: 2 models are called \"toy-twin\""];
}
