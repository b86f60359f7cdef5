//! What the rules say, in the words of `INVARIANTS.md`.

/// Text of rule SD-`number`; `None` if there is no such rule.
pub fn text(number: u8) -> Option<&'static str> {
    TEXTS.get(usize::from(number).checked_sub(1)?).copied()
}

const TEXTS: [&str; crate::catalogue::LAST_RULE as usize] = [
    "If CPU c may hold translations of S that it could use without flushing first, or may start to fill \
     some, c is in S's mask: its bit is set, and the mark over its word where the mask has a summary.",
    "Only CPU c sets its bit, before it loads S's root; then a full fence; then it reads S's generation \
     and lets the walker in.",
    "Only CPU c clears its bit, after its hardware stopped using the root and its entries are flushed \
     or bound to be flushed before next use.",
    "The initiator's page-table stores, then the generation bump, then a full fence, then it reads mask \
     and loaded words.",
    "Switch-in mirrors SD-4: mark switching, set the bit, full fence, read the generation, install with \
     or without flush.",
    "The request is visible before the interrupt. The target takes the IPI request before it reads what \
     was asked, and acknowledges after its flush is complete. An acknowledgement is a generation, never a \
     count.",
    "A freed page-table page reaches every CPU with the root loaded, lazy ones too.",
    "A frame or table is given back only against the completion of the flush that covers it.",
    "A reference count bounds who may finish, never who may begin: no decision to skip a CPU rests on \
     one.",
    "Mappings die once, when the last user reference goes; the root is freed once, when no struct \
     reference is left and no CPU has it loaded.",
    "A CPU that waits polls its own IPI word and handles what it finds, so that nobody needs to \
     interrupt it. Past a bound the platform is told which CPU has not answered, and the wait goes on.",
    "While an entry tagged t may be live on c, t on c names one space; a tag is reused only after a \
     flush; identities and generations are 64-bit and never go back.",
    "A CPU that goes off line leaves the space it has loaded and flushes everything, then it is no \
     longer waited for; bits that `OnLeave::KeepBit` left in other masks stay, and mean nothing while \
     it has nothing loaded. It comes back with all flushed.",
    "A request that does not fit widens to a full flush; no failure drops a frame or frees one early.",
    "Who finishes a gather has flushed all that it looked at, also what another open gather cleared \
     first and has not flushed yet.",
];

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn the_words_are_those_of_the_table_of_rules() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../INVARIANTS.md");
        let table = std::fs::read_to_string(path).expect("the rules");
        for number in 1..=crate::catalogue::LAST_RULE {
            let row = format!("| SD-{number} | {} |", text(number).expect("a rule"));
            assert!(table.contains(&row), "INVARIANTS.md does not say {row:?}");
        }
        assert_eq!((text(0), text(16)), (None, None));
    }
}
