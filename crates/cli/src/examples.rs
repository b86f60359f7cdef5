//! Examples, as `--help` shows them at its end, in lines that every terminal has room for.

/// Of the command itself.
pub const ALL: &str = "\
Examples:
  shootdown                          Check everything, then show the first bug
  shootdown check pairs 'linux-*'    Check a group, and what a pattern matches
  shootdown check --drop-rule SD-9   Remove a rule: which check notices?
  shootdown check --list             Name all cases
  shootdown explain NAME             A case's story, its counterexample drawn
  shootdown explain NAME --html FILE Write a page to step through it
  shootdown explain NAME --text | shootdown replay -
  shootdown bench                    Count what each policy costs
  shootdown new-case NAME            Write a first sketch of a case of your own
  shootdown doctor src/platform.rs   Examine a platform of your own
  shootdown boot --all               Run the engine on real page tables, in QEMU

Exit codes: 0 all as expected, 1 not, 2 input cannot be used, 3 nothing found by
--contexts or --random, which proves nothing, 130 after Ctrl-C, 141 when the
reader of the output went away.";

/// Of `check`.
pub const CHECK: &str = "\
Examples:
  shootdown check                       Everything but deep cases
  shootdown check two 'linux-*' --cpus 2
                                        Groups, patterns; machines of 2 CPUs
  shootdown check seed --memory pso -v  One case on another memory model
  shootdown check --drop-rule SD-9      Exits 1, and names the case that noticed
  shootdown check --deep --deadline 600 Deep cases too, ten minutes each at most
  shootdown check --json | jq .verdict  One object a line
  shootdown check --shard 2/8 --json-file 2.jsonl
                                        One of eight parts, for `merge`
  shootdown check --deep --resume FILE  Goes on where a run was stopped
  shootdown check seed --drop-rule SD-9 --all-findings
                                        Each finding once, not the first alone
  shootdown check three --contexts 4    Few turns: finds, and proves nothing
  shootdown check three --random 10000 --seed 7

Exit codes: 0 all as expected, 1 not, as where a removed rule is noticed,
3 nothing found by --contexts or --random.";

/// Of `merge`.
pub const MERGE: &str = "\
Examples:
  shootdown merge *.jsonl            Table and exit code of the whole check
  shootdown merge --json 1.jsonl 2.jsonl 3.jsonl > all.jsonl
  cat *.jsonl | shootdown merge -

examples/batch has jobs for Slurm and Kubernetes that run shards and merge
them.";

/// Of `explain`.
pub const EXPLAIN: &str = "\
Examples:
  shootdown explain linux-bafb056c-sparc64-trim     The bug this began with
  shootdown explain seed --drop-rule SD-9 --state   The engine without a rule
  shootdown explain linux-bafb056c-sparc64-trim --html bug.html
  shootdown explain --all --html museum             A page a bug, and an index

Exit codes: 0 when it is told, also where a counterexample is; 1 when it was
stopped, or there is nothing to list or draw; 3 nothing found by --contexts or
--random.";

/// Of `replay`.
pub const REPLAY: &str = "\
Examples:
  shootdown explain NAME --text > list; shootdown replay list --state
  shootdown replay traces/linux61-4cpu-threads.sdt   Linux, under all policies
  shootdown replay trace.sdt --policy shootdown --policy linux-x86 --tags";

/// Of `record-import`.
pub const IMPORT: &str = "\
Examples:
  shootdown record-import trace.txt                  Writes trace.txt.sdt
  shootdown record-import trace.txt --out server.sdt
  perf script -F +pid | shootdown record-import - --out server.sdt";

/// Of `new-case`.
pub const NEW_CASE: &str = "\
Examples:
  shootdown new-case toy-1a2b3c4d-counted-acks --dir src
                                     A model of 40 lines to fill in
  shootdown new-case toy-1a2b3c4d-counted-acks --dir src --corpus
                                     A story, and what a collection says";

/// Of `doctor`.
pub const DOCTOR: &str = "\
Examples:
  shootdown doctor examples/ports/toy_kernel.rs   A platform that passes
  shootdown doctor my-kernel --json               A crate's folder; JSON lines";

/// Of `boot`.
pub const BOOT: &str = "\
Examples:
  shootdown boot --all                    Every architecture, every scenario
  shootdown boot --arch riscv64 --scenario sqpoll --break linux-bafb056c
  shootdown boot --arch x86_64 --count    Instructions of each operation";

/// Of `bench`.
pub const BENCH: &str = "\
Examples:
  shootdown bench                   All policies and workloads, and a report
  shootdown bench --workload memcached-lazy --policy linux-x86 --cpus 64
  shootdown bench --grid            Where the engine loses, to whom, and why
  shootdown bench seed              The exercise of Linux commit bafb056ce279
  shootdown bench host --sharers 3  Times on this host";

/// Of `completions`.
pub const COMPLETIONS: &str = "\
Examples:
  d=~/.local/share/bash-completion/completions
  shootdown completions bash > $d/shootdown
  shootdown completions zsh > ~/.zfunc/_shootdown
  shootdown completions fish > ~/.config/fish/completions/shootdown.fish";

/// Of `man`.
pub const MAN: &str = "\
Examples:
  shootdown man | man -l -                      Read it now
  shootdown man --dir ~/.local/share/man/man1   A page for each command";
