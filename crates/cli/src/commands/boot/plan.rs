//! What was asked for, once it is known to make sense.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::image::{Build, Engine, Room};
use super::machine::{MACHINES, Machine, USUAL_CPUS};
use crate::args::{BootArgs, HostThreads};
use crate::failure::{BadInput, Failure};
use crate::select::near;

/// Names of the kernel's scenarios, in the order in which it runs them.
pub const SCENARIOS: [&str; 18] = [
    "remap",
    "reuse",
    "write-protect",
    "table-free",
    "cow",
    "nested-gathers",
    "borrow",
    "lazy",
    "trim",
    "upgrade-exit",
    "exec",
    "many-spaces",
    "hotplug",
    "masked-flushers",
    "lost-ipis",
    "sqpoll",
    "userfault",
    "soak",
];

/// What the kernel runs for counting.
const COUNTED: [&str; 2] = ["count-one", "count-three"];
/// CPUs that counting takes: one that flushes and three that must be told, up to those that the usual kernel has room
/// for.
const COUNTED_CPUS: RangeInclusive<usize> = 4..=USUAL_CPUS;

/// Linux's short cut of 2020, as a rule to break.
const SINGLE_USER: &str = "linux-bafb056c";
/// Breaks nothing, in the build that can break a rule.
const NO_RULE: &str = "none";

/// What to boot, and what to run there.
#[derive(Debug)]
pub struct Plan {
    /// Machines, in order.
    pub machines: Vec<&'static Machine>,
    /// CPUs of each.
    pub cpus: usize,
    /// A scenario's name, or nothing for all.
    pub scenario: Option<&'static str>,
    /// Seconds for each scenario.
    pub seconds: u64,
    /// Cycles after which a scenario ends; 0 for never.
    pub cycles: u64,
    /// The rule that is missing.
    pub broken: Option<String>,
    /// Whether the engine has switches for its rules, and all are on.
    pub control: bool,
    /// Whether all CPUs share a thread of this host.
    pub one_thread: bool,
    /// Whether instructions are counted, instead of scenarios run.
    pub count: bool,
    /// How long a machine may run without a report.
    pub patience: Duration,
    /// An image to boot instead of building one.
    pub image: Option<PathBuf>,
}

impl Plan {
    /// Checks the arguments.
    ///
    /// # Errors
    /// An architecture, a scenario or a rule that there is not; more CPUs than fit.
    pub fn of(args: &BootArgs) -> Result<Self, Failure> {
        let scenario = match args.scenario.as_deref() {
            None | Some("all") => None,
            Some(name) => Some(scenario(name)?),
        };
        let machines = match (&args.arch, args.all) {
            (Some(name), _) => vec![machine(name)?],
            (None, true) => MACHINES.iter().collect(),
            (None, false) if args.count => MACHINES.iter().collect(),
            (None, false) => {
                let names: Vec<&str> = MACHINES.iter().map(|machine| machine.name).collect();
                let remedy = format!("give --arch {}, or --all", names.join(" or --arch "));
                return Err(Failure::bad_input("no architecture is named", remedy));
            }
        };
        machines.iter().try_for_each(|machine| fits(machine, args.cpus))?;
        if args.count && !COUNTED_CPUS.contains(&args.cpus) {
            let (least, most) = (COUNTED_CPUS.start(), COUNTED_CPUS.end());
            return Err(Failure::bad_input(
                format!("nothing is counted on {} CPUs", args.cpus),
                format!("give --cpus {least} to {most}: one flushes, three must be told"),
            ));
        }
        let control = args.broken.as_deref() == Some(NO_RULE);
        Ok(Self {
            machines,
            cpus: args.cpus,
            scenario: if args.all { None } else { scenario },
            seconds: args.seconds,
            cycles: args.cycles.unwrap_or(0),
            broken: args.broken.as_deref().filter(|_| !control).map(rule).transpose()?,
            control,
            one_thread: args.host_threads == HostThreads::One,
            count: args.count,
            patience: Duration::from_secs(args.patience),
            image: args.image.clone(),
        })
    }

    /// Which kernel must be built.
    pub fn build(&self) -> Build {
        Build {
            engine: match self.broken.as_deref() {
                _ if self.count => Engine::Unwatched,
                _ if self.control => Engine::Switches,
                Some(rule) if rule != SINGLE_USER => Engine::Switches,
                _ => Engine::Usual,
            },
            room: if self.cpus > USUAL_CPUS { Room::Wide } else { Room::Usual },
        }
    }

    /// The scenarios that will run.
    pub fn scenarios(&self) -> Vec<&'static str> {
        match self.scenario {
            _ if self.count => COUNTED.to_vec(),
            Some(name) => vec![name],
            None => SCENARIOS.to_vec(),
        }
    }

    /// What the kernel reads.
    pub fn parameters(&self) -> String {
        let scenario = if self.count { "count" } else { self.scenario.unwrap_or("all") };
        let mut text =
            format!("cpus={} scenario={scenario} seconds={} cycles={}", self.cpus, self.seconds, self.cycles);
        if self.one_thread {
            text += " threads=single";
        }
        if let Some(rule) = &self.broken {
            text += &format!(" break={rule}");
        }
        text
    }
}

fn fits(machine: &Machine, cpus: usize) -> Result<(), Failure> {
    if (1..=machine.most_cpus).contains(&cpus) {
        return Ok(());
    }
    Err(Failure::bad_input(
        format!("a machine of {} with {cpus} CPUs cannot be booted", machine.name),
        format!("give --cpus 1 to {}; what ends there is {}", machine.most_cpus, machine.limit),
    ))
}

fn machine(name: &str) -> Result<&'static Machine, Failure> {
    let found = MACHINES.iter().find(|machine| machine.name == name || machine.aliases.contains(&name));
    found.ok_or_else(|| {
        let names = MACHINES.iter().map(|machine| machine.name);
        unknown(
            "architecture",
            name,
            names.collect(),
            "QEMU has no SMP machine of sparc64: `cargo xtask ci sparc64` boots one CPU",
        )
    })
}

fn scenario(name: &str) -> Result<&'static str, Failure> {
    let found = SCENARIOS.into_iter().find(|&scenario| scenario == name);
    found.ok_or_else(|| unknown("scenario", name, SCENARIOS.to_vec(), "or leave it out for all"))
}

fn rule(name: &str) -> Result<String, Failure> {
    let number = name.strip_prefix("SD-").and_then(|number| number.parse::<u8>().ok());
    if number.is_some_and(|number| (1..=crate::catalogue::LAST_RULE).contains(&number)) || name == SINGLE_USER
    {
        return Ok(name.to_owned());
    }
    let rules: Vec<String> = (1..=crate::catalogue::LAST_RULE)
        .map(|n| format!("SD-{n}"))
        .chain([SINGLE_USER, NO_RULE].map(str::to_owned))
        .collect();
    Err(unknown(
        "rule",
        name,
        rules.iter().map(String::as_str).collect(),
        "rules are listed in INVARIANTS.md",
    ))
}

fn unknown(what: &str, name: &str, known: Vec<&str>, hint: &str) -> Failure {
    Failure::BadInput(BadInput {
        what: format!("{what} {name:?} is not known"),
        near: near(name, known.iter().copied()),
        remedy: format!("there are {}; {hint}", known.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::Plan;
    use crate::args::BootArgs;
    use crate::commands::boot::image::{Engine, Room};
    use crate::failure::Failure;
    use crate::testing::boot_args;

    fn refused(args: &BootArgs) -> String {
        match Plan::of(args) {
            Err(failure @ Failure::BadInput(_)) => failure.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn parameters_are_words_that_the_kernel_reads() {
        let args = boot_args("--arch riscv64 --scenario sqpoll --break linux-bafb056c");
        let plan = Plan::of(&args).expect("a plan");
        let expected = "cpus=4 scenario=sqpoll seconds=1 cycles=0 threads=single break=linux-bafb056c";
        assert_eq!(plan.parameters(), expected);
        assert_eq!(plan.build().engine, Engine::Usual, "that one is the kernel's own");
    }

    #[test]
    fn the_kernel_is_built_for_the_rule_and_for_the_cpus() {
        let build = |cpus, broken: Option<&str>| {
            let broken = broken.map(Into::into);
            Plan::of(&BootArgs { cpus, broken, ..boot_args("--arch riscv64") }).expect("a plan").build()
        };
        assert_eq!((build(64, None).engine, build(64, None).room), (Engine::Usual, Room::Usual));
        let removed = build(65, Some("SD-1"));
        assert_eq!((removed.engine, removed.room), (Engine::Switches, Room::Wide));
        assert_eq!(build(4, Some("none")).engine, Engine::Switches);
        let control = Plan::of(&BootArgs { broken: Some("none".into()), ..boot_args("--arch riscv64") })
            .expect("a plan");
        assert!(control.broken.is_none() && !control.parameters().contains("break="), "nothing is broken");
    }

    #[test]
    fn counting_is_a_run_of_its_own() {
        let plan =
            Plan::of(&BootArgs { arch: None, count: true, ..boot_args("--arch riscv64") }).expect("a plan");
        assert_eq!((plan.machines.len(), plan.scenarios().len()), (3, 2));
        assert!(plan.parameters().contains("scenario=count "));
        assert_eq!(plan.build().engine, Engine::Unwatched);
        for cpus in [3, 65] {
            assert!(
                refused(&BootArgs { cpus, count: true, ..boot_args("--arch riscv64") })
                    .contains("--cpus 4 to 64")
            );
        }
    }

    #[test]
    fn all_means_all_machines_and_scenarios() {
        let plan =
            Plan::of(&BootArgs { arch: None, all: true, ..boot_args("--arch riscv64") }).expect("a plan");
        assert_eq!((plan.machines.len(), plan.scenarios().len()), (3, 18));
        let other_name = Plan::of(&BootArgs { arch: Some("amd64".into()), ..boot_args("--arch riscv64") })
            .expect("a plan");
        assert_eq!(other_name.machines[0].name, "x86_64");
    }
}
