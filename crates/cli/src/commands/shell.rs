//! What shells and manuals want to know: completions and manual pages, made from the command line itself.

use clap::builder::PossibleValuesParser;
use clap::{Arg, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use shootdown_bench::{policy::PolicyKind, workload::WorkloadKind};
use shootdown_cases::bugs::Bug;
use shootdown_cases::engine::Fault;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::catalogue;
use crate::failure::{AS_EXPECTED, Failure};
use crate::select::groups;

/// Runs `shootdown completions`.
///
/// # Errors
/// Output that cannot be written.
pub fn completions(args: &CompletionsArgs, bugs: &[Bug]) -> Result<ExitCode, Failure> {
    let mut script = Vec::new();
    let offers = offers(bugs);
    if args.shell == Shell::Fish {
        script.extend(fish(&offers).into_bytes());
    }
    let mut command = offers.into_iter().fold(Cli::command(), |command, (name, argument, values)| {
        let offer = |arg: Arg| arg.value_parser(PossibleValuesParser::new(values));
        command.mut_subcommand(name, |command| command.mut_arg(argument, offer))
    });
    clap_complete::generate(args.shell, &mut command, "shootdown", &mut script);
    io::stdout().write_all(&script)?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// What fish offers for names that follow a command: the script that is generated knows those of options alone.
fn fish(offers: &[(&str, &str, Vec<String>)]) -> String {
    let names = offers.iter().filter(|(_, argument, _)| argument.starts_with("name"));
    let lines = names.map(|(command, _, values)| {
        format!(
            "complete -c shootdown -n '__fish_seen_subcommand_from {command}' -f -a '{}'\n",
            values.join(" ")
        )
    });
    lines.collect()
}

/// Commands, their arguments, and what a shell is to offer for each: all names there are.
fn offers(bugs: &[Bug]) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let cases = catalogue::cases(bugs, None);
    let mut names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    names.extend(bugs.iter().map(|bug| bug.name.to_owned()));
    let with_groups = names.iter().cloned().chain(groups(&cases).into_iter().map(Into::into)).collect();
    let sites: Vec<String> = Fault::sites().iter().map(|&site| site.into()).collect();
    let mut offers = vec![("check", "names", with_groups), ("explain", "name", names)];
    offers.extend(["check", "explain"].map(|command| (command, "drop_site", sites.clone())));
    let policies: Vec<String> = PolicyKind::ALL.map(|policy| policy.name().to_owned()).to_vec();
    let workloads = WorkloadKind::ALL.map(WorkloadKind::name).into_iter().chain(WorkloadKind::GROUPS);
    offers.extend(["bench", "replay"].map(|command| (command, "policy", policies.clone())));
    offers.push(("bench", "workload", workloads.map(Into::into).collect()));
    offers.push(("boot", "scenario", super::boot::SCENARIOS.map(Into::into).to_vec()));
    offers
}

/// Runs `shootdown man`.
///
/// # Errors
/// Output that cannot be written.
pub fn man(args: &ManArgs) -> Result<ExitCode, Failure> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        Man::new(Cli::command()).render(&mut page)?;
        io::stdout().write_all(&page)?;
        return Ok(ExitCode::from(AS_EXPECTED));
    };
    let written = write_pages(dir).map_err(|error| {
        Failure::bad_input(
            format!("cannot write pages to {}: {error}", dir.display()),
            "give --dir a folder that is there, in which you may write",
        )
    })?;
    writeln!(anstream::stdout(), "{written} pages written to {}", dir.display())?;
    Ok(ExitCode::from(AS_EXPECTED))
}

/// Writes a page for the command and one for each of its commands; returns how many.
fn write_pages(dir: &Path) -> io::Result<usize> {
    let mut root = Cli::command();
    root.build();
    let mut pages = 1;
    Man::new(root.clone()).generate_to(dir)?;
    for command in root.get_subcommands().filter(|command| command.get_name() != "help") {
        Man::new(command.clone()).generate_to(dir)?;
        pages += 1;
    }
    Ok(pages)
}
