//! The operations that are measured, what each may cost, and where it may cost more.

/// One measured operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Name of its function in [`super::workload`].
    pub function: &'static str,
    /// What it does, in words.
    pub title: &'static str,
    /// Most instructions that it should take; nothing where it is only reported.
    pub aim: Option<u64>,
    /// A function that runs inside and is not part of it.
    pub without: Option<&'static str>,
}

/// An operation that may cost more than its aim, up to a limit.
#[derive(Clone, Copy, Debug)]
pub struct Exception {
    /// Function of the operation.
    pub function: &'static str,
    /// Most instructions that it may take nevertheless.
    pub limit: u64,
    /// Why.
    pub reason: &'static str,
}

/// All operations, in the order of the table.
pub const OPERATIONS: &[Operation] = &[
    counted("measured_same_space", "switch to the same space", Some(12)),
    counted("measured_other_untagged", "switch to another space, no tags", Some(50)),
    counted("measured_other_tagged", "switch to another space, tagged", Some(50)),
    counted("measured_other_kept", "switch to another space, tagged, bits kept", Some(50)),
    counted("measured_lazy_round", "lazy in and out", Some(12)),
    counted("measured_local_flush", "flush of a page, no target", Some(25)),
    Operation {
        without: Some("flush_answer"),
        ..counted("measured_target_flush", "flush of a page, one target", Some(120))
    },
    counted("measured_handler", "handler, one page pending", Some(60)),
    counted("measured_borrow", "borrow and return, same space", None),
    counted("measured_borrow_other", "borrow and return, another space", None),
    counted("measured_gather", "gather of one frame, no target", None),
    Operation {
        without: Some("gather_answer"),
        ..counted("measured_target_gather", "gather of one frame, one target", None)
    },
    counted("coherent_same_space", "coherence layer: enter the same space", Some(30)),
    counted("coherent_loaded", "coherence layer: enter another space, loaded", Some(84)),
    counted("coherent_will_load", "coherence layer: enter another space, will load", Some(84)),
    counted("coherent_lazy_round", "coherence layer: lazy in and out", Some(32)),
    counted("coherent_local_flush", "coherence layer: flush of a page, no target", Some(44)),
    Operation {
        without: Some("coherent_flush_answer"),
        ..counted("coherent_target_flush", "coherence layer: flush of a page, one target", Some(193))
    },
    counted("coherent_handler", "coherence layer: handler, one page pending", Some(68)),
    counted("coherent_gather", "coherence layer: gather of one frame, no target", Some(145)),
    Operation {
        without: Some("coherent_gather_answer"),
        ..counted("coherent_target_gather", "coherence layer: gather of one frame, one target", Some(291))
    },
];

/// An operation that is counted once more with a sanitizer that watches.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    /// Its function without.
    pub plain: &'static str,
    /// Its function under watch.
    pub function: &'static str,
    /// A function that runs inside and is not part of it.
    pub without: Option<&'static str>,
    /// Whether it counts for [`WATCH_LIMIT`].
    pub limited: bool,
}

/// All of them. Limited are those that give nothing back; a gather is noted and checked, and a load of a root changes
/// what a CPU may hold, which costs what it costs and is reported.
pub const WATCHED: &[Watched] = &[
    limited("measured_same_space", "watched_same_space"),
    watched("measured_other_untagged", "watched_other_untagged"),
    watched("measured_other_tagged", "watched_other_tagged"),
    watched("measured_lazy_round", "watched_lazy_round"),
    limited("measured_local_flush", "watched_local_flush"),
    Watched {
        without: Some("watched_flush_answer"),
        ..limited("measured_target_flush", "watched_target_flush")
    },
    limited("measured_handler", "watched_handler"),
    watched("measured_gather", "watched_gather"),
    Watched {
        without: Some("watched_gather_answer"),
        ..watched("measured_target_gather", "watched_target_gather")
    },
];

/// How much more operations may cost under watch, in percent of the instructions of all that are limited together.
pub const WATCH_LIMIT: u64 = 30;

/// The operations that cost more than their aim, and why.
///
/// Limits leave a few instructions for what another compiler makes of the same source.
pub const EXCEPTIONS: &[Exception] = &[
    Exception {
        function: "measured_other_tagged",
        limit: 64,
        reason: "the old tag's generation is saved and the new tag searched for; two masks change",
    },
    Exception { function: "measured_other_kept", limit: 56, reason: "as above; no mask changes" },
    Exception {
        function: "measured_lazy_round",
        limit: 32,
        reason: "two calls: 12 to mark, 17 to return, with the fence and both generations read",
    },
    Exception {
        function: "measured_local_flush",
        limit: 44,
        reason: "the generation and the fence come first, and the mask, not a count, says that nobody else is concerned",
    },
    Exception {
        function: "measured_target_flush",
        limit: 193,
        reason: "the request is noted for late CPUs, and this CPU flushes between sending and waiting",
    },
    Exception {
        function: "measured_handler",
        limit: 68,
        reason: "the request is looked at first and taken last, so that a CPU that asks meanwhile sends no interrupt",
    },
];

const fn counted(function: &'static str, title: &'static str, aim: Option<u64>) -> Operation {
    Operation { function, title, aim, without: None }
}

const fn watched(plain: &'static str, function: &'static str) -> Watched {
    Watched { plain, function, without: None, limited: false }
}

const fn limited(plain: &'static str, function: &'static str) -> Watched {
    Watched { limited: true, ..watched(plain, function) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_also_counted_without() {
        for watched in WATCHED {
            assert!(OPERATIONS.iter().any(|op| op.function == watched.plain), "{}", watched.plain);
        }
    }

    #[test]
    fn every_exception_is_of_an_operation_with_a_lower_aim() {
        for exception in EXCEPTIONS {
            let aim = OPERATIONS.iter().find(|op| op.function == exception.function).and_then(|op| op.aim);
            assert!(aim.is_some_and(|aim| aim < exception.limit), "{}", exception.function);
        }
    }
}
