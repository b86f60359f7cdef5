use shootdown_explore::{Options, Verdict};
use shootdown_machine::engine::{Fault, Judges, judged_cases};
use std::time::Instant;

#[test]
fn look() {
    let limit: u64 = std::env::var("LIMIT").map_or(200_000, |s| s.parse().unwrap());
    let pat = std::env::var("PAT").unwrap_or_default();
    let rule: u8 = std::env::var("RULE").map_or(0, |s| s.parse().unwrap());
    let judges = match std::env::var("J").as_deref() {
        Ok("w") => Judges::Watch,
        Ok("m") => Judges::Machine,
        _ => Judges::Both,
    };
    let fault = if rule == 0 { Fault::NONE } else { Fault::rule(rule).unwrap() };
    for case in judged_cases(fault, judges) {
        if case.deep || !case.name.contains(&pat) {
            continue;
        }
        let start = Instant::now();
        let options = Options {
            memory: if std::env::var("SC").is_ok() { shootdown_explore::Memory::Sc } else { case.memory },
            max_states: limit,
            shortest: false,
            ..Options::default()
        };
        let report = (case.run)(&options);
        let what = match &report.verdict {
            Verdict::Violates(w) | Verdict::Deadlock(w) | Verdict::Livelock(w) => w.clone(),
            other => format!("{other:?}"),
        };
        if std::env::var("TR").is_ok() {
            for step in report.trace.iter().flat_map(|t| &t.steps) {
                println!(
                    "   {:?} {} [{}] {:?}",
                    step.mov,
                    step.text,
                    step.note,
                    step.place.map(|p| (p.file().rsplit('/').next(), p.line()))
                );
            }
        }
        println!(
            "{:30} {:>8} states {:6.2}s {}",
            case.name,
            report.states,
            start.elapsed().as_secs_f64(),
            what
        );
    }
}
