use super::Failure;
use lexopt::prelude::{Long, Short, Value, ValueExt as _};
use shootdown_explore::Memory;
use std::path::PathBuf;

pub const HELP: &str = "\
Visits every execution of the models of this package on small simulated machines.

  check [NAME]...      each model: the broken protocol must break a rule, the mended one must hold
    --mutants          instead: take each step out of the fixes, and list those without which they hold
  explain NAME         draw the execution that fails; of NAME/fixed, if it fails
    --places           with the line of code of each step
    --state            with the machine's state after each step
    --html FILE        also as a page
  new-case NAME        write a first sketch
    --dir DIR          where to; default: here
  --memory MODEL       sc, tso, pso or weak; default: the one that the model is stated for

Exit code: 0 all as expected, 1 not, 2 input that cannot be used.";

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Command {
    Help,
    Check,
    Explain,
    NewCase,
}

/// The command line.
#[derive(Debug)]
pub struct Args {
    pub command: Command,
    pub names: Vec<String>,
    pub memory: Option<Memory>,
    pub mutants: bool,
    pub places: bool,
    pub state: bool,
    pub html: Option<PathBuf>,
    pub dir: PathBuf,
}

impl Args {
    pub fn of_process() -> Result<Self, Failure> {
        Self::read(lexopt::Parser::from_env())
            .map_err(|error| Failure::Input(format!("{error}; --help says what there is")))
    }

    fn read(mut parser: lexopt::Parser) -> Result<Self, lexopt::Error> {
        let (command, names) = (Command::Check, Vec::new());
        let (mutants, places, state) = (false, false, false);
        let mut args =
            Self { command, names, memory: None, mutants, places, state, html: None, dir: ".".into() };
        let mut first = true;
        while let Some(arg) = parser.next()? {
            match arg {
                Short('h') | Long("help") => args.command = Command::Help,
                Long("memory") => args.memory = Some(parser.value()?.parse_with(memory)?),
                Long("mutants") => args.mutants = true,
                Long("places") => args.places = true,
                Long("state") => args.state = true,
                Long("dir") => args.dir = parser.value()?.into(),
                Long("html") => args.html = Some(parser.value()?.into()),
                Value(word) if first => {
                    first = false;
                    args.command = word.parse_with(command_of)?;
                }
                Value(name) => args.names.push(name.string()?),
                other => return Err(other.unexpected()),
            }
        }
        args.fits()
    }

    /// Refuses options of the other command.
    fn fits(self) -> Result<Self, lexopt::Error> {
        let of_explain = self.places || self.state || self.html.is_some();
        match self.command {
            Command::Check if of_explain => Err("--places, --state and --html go with `explain`".into()),
            Command::Explain if self.mutants => Err("--mutants goes with `check`".into()),
            Command::Explain | Command::NewCase if self.names.len() != 1 => {
                Err("`explain` and `new-case` take the name of one model".into())
            }
            _ => Ok(self),
        }
    }
}

fn command_of(word: &str) -> Result<Command, String> {
    match word {
        "help" => Ok(Command::Help),
        "check" => Ok(Command::Check),
        "explain" => Ok(Command::Explain),
        "new-case" => Ok(Command::NewCase),
        _ => Err(format!("there is no command {word:?}; there are: check, explain, new-case")),
    }
}

fn memory(name: &str) -> Result<Memory, String> {
    let found = Memory::ALL.into_iter().find(|memory| memory.name() == name);
    found.ok_or_else(|| "a memory model is sc, tso, pso or weak".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Args, Command};
    use shootdown_explore::Memory;

    fn read(line: &str) -> Result<Args, String> {
        let words = line.split_whitespace();
        Args::read(lexopt::Parser::from_args(words)).map_err(|error| error.to_string())
    }

    #[test]
    fn a_command_line_is_read() {
        let args = read("explain toy-x --memory weak --html x.html --places").expect("sound");
        assert_eq!((args.command, args.memory), (Command::Explain, Some(Memory::Weak)));
        assert!(args.places && !args.state && args.html.is_some() && args.names == ["toy-x"]);
        assert_eq!(read("").expect("sound").command, Command::Check);
        assert_eq!(read("check a b").expect("sound").names, ["a", "b"]);
        assert_eq!(read("check --help").expect("sound").command, Command::Help);
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_its_value_or_what_there_is() {
        for (line, said) in [
            ("verify", "there are: check, explain, new-case"),
            ("check --memory arm", "sc, tso, pso or weak"),
            ("check --memory", "--memory"),
            ("check --fast", "--fast"),
            ("check --places", "go with `explain`"),
            ("explain", "the name of one model"),
            ("new-case", "the name of one model"),
            ("explain a b", "the name of one model"),
            ("explain a --mutants", "goes with `check`"),
        ] {
            let error = read(line).map(|args| format!("{args:?}")).expect_err(line);
            assert!(error.contains(said), "{line}: {error}");
        }
    }
}
