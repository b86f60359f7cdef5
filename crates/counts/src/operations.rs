//! What is measured, what it may cost, and where it may cost more.

/// One measured operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Name of its function in [`crate::workload`].
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
        without: Some("measured_answer"),
        ..counted("measured_target_flush", "flush of a page, one target", Some(120))
    },
    counted("measured_handler", "handler, one page pending", Some(60)),
    counted("measured_borrow", "borrow and return, same space", None),
    counted("measured_borrow_other", "borrow and return, another space", None),
    counted("measured_gather", "gather of one frame, no target", None),
];

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
        limit: 200,
        reason: "the request is noted for late CPUs, the mask read twice, and this CPU flushes between ring and wait",
    },
];

const fn counted(function: &'static str, title: &'static str, aim: Option<u64>) -> Operation {
    Operation { function, title, aim, without: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exception_is_of_an_operation_with_a_lower_aim() {
        for exception in EXCEPTIONS {
            let aim = OPERATIONS.iter().find(|op| op.function == exception.function).and_then(|op| op.aim);
            assert!(aim.is_some_and(|aim| aim < exception.limit), "{}", exception.function);
        }
    }
}
