use shootdown_cases::engine::{Fault, Oracles};
use shootdown_cases::scenarios::cases_under;
use shootdown_explore::{Memory, Options, Reductions};
#[test]
fn probe() {
    let get = |n: &str| std::env::var(n).unwrap_or_default();
    let rule: u8 = get("RULE").parse().unwrap_or(0);
    let fault = if rule == 0 { Fault::NONE } else { Fault::rule(rule).unwrap() };
    let oracles = match get("ORACLE").as_str() {
        "machine" => Oracles::Machine,
        "both" => Oracles::Both,
        _ => Oracles::Watch,
    };
    let memory = match get("MEM").as_str() {
        "weak" => Memory::Weak,
        "tso" => Memory::Tso,
        "pso" => Memory::Pso,
        _ => Memory::Sc,
    };
    let mut reductions = Reductions { partial_order: get("NOPOR") != "1", symmetry: true, merge: true };
    if get("NOMERGE") == "1" {
        reductions.merge = false;
    }
    for case in cases_under(fault, oracles) {
        if case.name != get("CASE") {
            continue;
        }
        for workers in [1, 2] {
            let options = Options {
                memory,
                max_states: 400_000,
                workers,
                shortest: get("SHORT") == "1",
                reductions,
                ..Options::default()
            };
            let report = (case.run)(&options);
            println!("{} workers {workers}: {:?} states {} ", case.name, report.verdict, report.states);
            if get("TRACE") == "1" {
                if let Some(t) = report.trace {
                    for s in &t.steps {
                        println!(
                            "{:?} | {} | {} | {:?} d{}",
                            s.mov,
                            s.text,
                            s.note,
                            s.place.map(|p| (p.file().rsplit('/').next().unwrap().to_owned(), p.line())),
                            s.depth
                        );
                    }
                    println!("{}", t.outcome);
                }
                break;
            }
        }
    }
}
#[test]
fn weak_list() {
    for case in cases_under(Fault::NONE, Oracles::Both) {
        if case.memory != Memory::Weak || case.deep {
            continue;
        }
        let options =
            Options { memory: case.memory, max_states: 30_000, shortest: false, ..Options::default() };
        let report = (case.run)(&options);
        if report.verdict != shootdown_explore::Verdict::Holds {
            println!("WEAK {} {:?}", case.name, report.verdict);
        }
    }
}
