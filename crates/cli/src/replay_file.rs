//! The list of moves that `explain --text` prints and `replay` reads.

use shootdown_explore::{Action, Memory, Move, Trace};
use std::fmt::Write as _;

use crate::names;

/// How a list begins.
pub const FIRST_LINE: &str = "# shootdown replay 1";
const MOVES: &str = "a move: `CPU run`, `CPU choose N`, `CPU drain N` or `CPU interrupt N`";
const HEADERS: &str = "`case NAME`, `memory sc|tso|pso|weak`, `drop SD-n`, `outcome TEXT`";

/// A recorded execution.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayFile {
    /// Case that it belongs to.
    pub case: String,
    /// Memory model it runs under.
    pub memory: Memory,
    /// Rule or ordering that is removed from the engine.
    pub removed: Option<String>,
    /// What goes wrong at its end, if recorded.
    pub outcome: Option<String>,
    /// The moves, in order.
    pub moves: Vec<Move>,
    /// For each move, the line it stands on.
    pub lines: Vec<usize>,
}

/// A line that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Its number, from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
    /// What should stand there.
    pub expected: String,
}

/// Writes `trace` of `case` as a list; `outcome` has line breaks and runs of spaces made one space.
pub fn write(case: &str, memory: Memory, removed: Option<&str>, trace: &Trace) -> String {
    let mut out = format!("{FIRST_LINE}\ncase {case}\nmemory {}\n", memory.name());
    if let Some(removed) = removed {
        let _ = writeln!(out, "drop {removed}");
    }
    if !trace.outcome.is_empty() {
        let _ = writeln!(out, "outcome {}", one_line(&trace.outcome));
    }
    for step in &trace.steps {
        let _ = writeln!(out, "{} {}", step.mov.cpu, action_name(step.mov.action));
    }
    out
}

/// Reads a list. Empty lines and, after the first line, lines that begin with `#` are skipped.
///
/// # Errors
/// The first line that cannot be read.
pub fn parse(text: &str) -> Result<ReplayFile, Malformed> {
    let malformed = |line, text: &str, expected: &str| Malformed {
        line,
        text: text.to_owned(),
        expected: expected.to_owned(),
    };
    let mut lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    match lines.next() {
        Some((_, FIRST_LINE)) => {}
        other => return Err(malformed(1, other.map_or("", |(_, line)| line), &format!("`{FIRST_LINE}`"))),
    }
    let mut head = Head::default();
    let mut last = 1;
    let (mut moves, mut places) = (Vec::new(), Vec::new());
    for (number, line) in lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        last = number;
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            moves.push(parse_move(line).ok_or_else(|| malformed(number, line, MOVES))?);
            places.push(number);
        } else if moves.is_empty() {
            head.read(line).map_err(|expected| malformed(number, line, &expected))?;
        } else {
            return Err(malformed(number, line, MOVES));
        }
    }
    let end = places.first().copied().unwrap_or(last + 1);
    let missing = |what| malformed(end, "", &format!("`{what}` before the moves"));
    Ok(ReplayFile {
        case: head.case.ok_or_else(|| missing("case NAME"))?,
        memory: head.memory.ok_or_else(|| missing("memory sc|tso|pso|weak"))?,
        removed: head.removed,
        outcome: head.outcome,
        moves,
        lines: places,
    })
}

/// Makes line breaks and runs of spaces one space.
pub fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns `action` as it stands in a list.
pub fn action_name(action: Action) -> String {
    match action {
        Action::Run => "run".to_owned(),
        Action::Older(n) => format!("older {n}"),
        Action::Choose(n) => format!("choose {n}"),
        Action::Drain(n) => format!("drain {n}"),
        Action::Interrupt(n) => format!("interrupt {n}"),
    }
}

/// Lines before the moves.
#[derive(Debug, Default)]
struct Head {
    case: Option<String>,
    memory: Option<Memory>,
    removed: Option<String>,
    outcome: Option<String>,
}

impl Head {
    /// Reads `line`, or says what should stand there.
    fn read(&mut self, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = value.trim();
        if value.is_empty() {
            return Err(format!("{HEADERS}, or {MOVES}"));
        }
        let again = match key {
            "case" => self.case.replace(value.to_owned()).is_some(),
            "memory" => {
                let memory = names::parse_memory(value)
                    .ok_or("`memory sc`, `memory tso`, `memory pso` or `memory weak`")?;
                self.memory.replace(memory).is_some()
            }
            "drop" => self.removed.replace(value.to_owned()).is_some(),
            "outcome" => self.outcome.replace(one_line(value)).is_some(),
            _ => return Err(format!("{HEADERS}, or {MOVES}")),
        };
        if again { Err(format!("`{key}` once only")) } else { Ok(()) }
    }
}

fn parse_move(line: &str) -> Option<Move> {
    let mut words = line.split_whitespace();
    let cpu = words.next()?.parse().ok()?;
    let kind = words.next()?;
    let number = words.next().map(str::parse).transpose().ok()?;
    let action = match (kind, number) {
        ("run", None) => Action::Run,
        ("older", Some(n)) => Action::Older(n),
        ("choose", Some(n)) => Action::Choose(n),
        ("drain", Some(n)) => Action::Drain(n),
        ("interrupt", Some(n)) => Action::Interrupt(n),
        _ => return None,
    };
    words.next().is_none().then_some(Move { cpu, action })
}

#[cfg(test)]
mod tests {
    use super::{parse, write};
    use crate::testing::trace;
    use shootdown_explore::{Action, Memory, Move, Step, Trace};

    #[test]
    fn what_is_written_reads_back() {
        let mut trace = trace("frame 1 is\n  reused");
        let choice = Step { mov: Move { cpu: 3, action: Action::Choose(2) }, ..trace.steps[0].clone() };
        trace.steps.push(choice);
        let text = write("three-seed", Memory::Pso, Some("SD-3"), &trace);
        let file = parse(&text).expect("a replay");
        assert_eq!(file.case, "three-seed");
        assert_eq!(file.memory, Memory::Pso);
        assert_eq!(file.removed.as_deref(), Some("SD-3"));
        assert_eq!(file.outcome.as_deref(), Some("frame 1 is reused"));
        assert_eq!(file.moves, trace.steps.iter().map(|step| step.mov).collect::<Vec<_>>());
        assert_eq!(file.lines, [6, 7, 8, 9]);
    }

    #[test]
    fn a_long_trace_stays_under_four_kilobytes() {
        let step = trace("x").steps[1].clone();
        let trace = Trace { steps: vec![step; 250], outcome: "x".repeat(200), ..Trace::default() };
        assert!(write("linux-bafb056c-sparc64-trim", Memory::Tso, None, &trace).len() < 4096);
    }

    #[test]
    fn comments_and_empty_lines_are_skipped() {
        let file =
            parse("# shootdown replay 1\n\n# by hand\ncase a\nmemory sc\n 0  run \n").expect("a replay");
        assert_eq!((file.moves.len(), file.lines), (1, vec![6]));
    }

    #[test]
    fn each_malformed_line_is_named_with_what_is_expected() {
        let head = "# shootdown replay 1\ncase a\nmemory tso\n";
        for (text, line, wrong, expected) in [
            (String::new(), 1, "", "# shootdown replay 1"),
            ("case a\n".into(), 1, "case a", "# shootdown replay 1"),
            ("# shootdown replay 1\ncase\n".into(), 2, "case", "`case NAME`"),
            ("# shootdown replay 1\nmemory arm\n".into(), 2, "memory arm", "`memory pso`"),
            ("# shootdown replay 1\ncase a\ncase b\n".into(), 3, "case b", "once only"),
            (
                "# shootdown replay 1\ncase a\n0 run\n".into(),
                3,
                "",
                "`memory sc|tso|pso|weak` before the moves",
            ),
            (format!("{head}0 jump\n"), 4, "0 jump", "`CPU run`"),
            (format!("{head}0 run 1\n"), 4, "0 run 1", "`CPU run`"),
            (format!("{head}0 drain\n"), 4, "0 drain", "`CPU drain N`"),
            (format!("{head}0 drain 256\n"), 4, "0 drain 256", "`CPU drain N`"),
            (format!("{head}0 choose 1 2\n"), 4, "0 choose 1 2", "`CPU choose N`"),
            (format!("{head}0 run\ndrop SD-3\n"), 5, "drop SD-3", "`CPU run`"),
            (format!("{head}speed 3\n"), 4, "speed 3", "`case NAME`"),
        ] {
            let malformed = parse(&text).expect_err(&text);
            assert_eq!((malformed.line, malformed.text.as_str()), (line, wrong), "{text:?}");
            assert!(malformed.expected.contains(expected), "{text:?}: {}", malformed.expected);
        }
    }
}
