//! Every named ordering of the engine, weakened one at a time: a scenario must fail.
//!
//! The same scenarios pass with the orderings as shipped (`sound.rs`). A site that is weakened here becomes relaxed, or
//! is left out if it is a fence.

#[macro_use]
mod scenarios;
mod support;

use shootdown_under_loom::fault::{self, Site};
use std::time::Instant;

macro_rules! table {
    ($($module:ident::$name:ident,)*) => {
        /// All scenarios, by name.
        const SCENARIOS: &[(&str, fn())] = &[$((stringify!($name), scenarios::$module::$name),)*];
    };
}
with_scenarios!(table);

/// The scenario that shows each ordering to be needed.
const CAUGHT_BY: &[(Site, &str)] = &[
    (Site::FlushFence, "switch_in_vs_flush"),
    (Site::KernelFlushFence, "online_vs_kernel_flush"),
    (Site::SwitchFence, "switch_in_vs_flush"),
    (Site::LeaveLazyFence, "lazy_return_vs_flush"),
    (Site::OnlineFence, "online_vs_kernel_flush"),
    (Site::Bump, "lazy_return_vs_flush"),
    (Site::CatchUp, "lazy_return_vs_flush"),
    (Site::Ack, "unmap_under_user"),
    (Site::SwitchAck, "kept_bit_switch_away_vs_table_free"),
    (Site::KernelAck, "unmap_under_kernel"),
    (Site::AckSeen, "unmap_under_user"),
    (Site::KernelAckSeen, "unmap_under_kernel"),
    (Site::ExitUserFence, "user_mode_vs_kernel_flush"),
    (Site::ExitUser, "user_mode_vs_kernel_flush"),
    (Site::EnterUser, "user_mode_vs_kernel_flush"),
    (Site::Loaded, "switch_away_vs_final_drop"),
    (Site::LoadedSeen, "switch_away_vs_final_drop"),
    (Site::EnterLazy, "enter_lazy_vs_flush"),
    (Site::LeaveLazy, "lazy_return_after_another_space_vs_unmap"),
    (Site::MaskRemove, "leave_vs_flush"),
    (Site::MaskSeen, "leave_vs_flush"),
    (Site::OnlineSeen, "offline_vs_kernel_flush"),
    (Site::IpiRequest, "kept_bit"),
    (Site::RequestSeen, "unmap_under_user"),
    (Site::Take, "unmap_under_user"),
    (Site::Record, "recall_vs_record"),
    (Site::Recall, "recall_vs_record"),
    (Site::Claim, "recall_vs_overwrite"),
    (Site::Recheck, "recall_vs_overwrite"),
    (Site::Replace, "record_vs_record"),
    (Site::UserDrop, "put_vs_teardown"),
    (Site::UserLast, "put_vs_teardown"),
    (Site::StructDrop, "struct_drop_vs_free"),
    (Site::StructLast, "struct_drop_vs_free"),
    (Site::GatherClose, "nested_gathers"),
    (Site::GatherSeen, "nested_gathers"),
    (Site::TrimDone, "bit_gone_before_the_answer"),
    (Site::TrimSeen, "a_third_frees_what_was_trimmed"),
    (Site::TrimTakenSeen, "back_before_the_request_is_taken_back"),
    (Site::TagLock, "two_spaces_take_a_tag"),
    (Site::TagUnlock, "two_spaces_are_shared"),
    (Site::TagFence, "renewal_vs_broadcast"),
    (Site::TagWraps, "renewal_vs_lock_free_switch"),
    (Site::TagWrapsSeen, "renewal_vs_lock_free_switch"),
    (Site::SharedTag, "reuse_after_sharing"),
    (Site::SharedTagSeen, "reuse_after_sharing"),
];

/// An ordering that the explorer shows to be needed, under weak memory: a rollover takes more steps than loom finishes.
const CAUGHT_ELSEWHERE: &[Site] = &[Site::TagLeft];

#[test]
fn every_weakened_ordering_is_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let here = Site::ALL.iter().filter(|site| !CAUGHT_ELSEWHERE.contains(site));
    let rows: Vec<_> = here.map(|&site| (site, weaken(site))).collect();
    std::panic::set_hook(hook);
    println!("{:<18} | {:<42} | seconds", "site", "caught by");
    for (site, (caught, scenario, seconds)) in &rows {
        let by = if *caught { scenario } else { "NOTHING" };
        println!("{:<18} | {by:<42} | {seconds:.2}", site.name());
    }
    let missed: Vec<_> = rows.iter().filter(|row| !row.1.0).map(|row| row.0.name()).collect();
    assert!(missed.is_empty(), "weakened and not caught: {missed:?}");
}

/// Rule SD-1 removed: where a mask has a summary, a CPU that joins does not mark its word.
#[test]
fn a_word_that_is_not_marked_is_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    fault::inject(fault::rule(1).expect("a rule"));
    let scenarios =
        [scenarios::arrive::switch_into_another_word_vs_flush, scenarios::arrive::join_under_a_mark_vs_flush];
    let caught = scenarios.map(|scenario| std::panic::catch_unwind(scenario).is_err());
    fault::inject(0);
    std::panic::set_hook(hook);
    assert_eq!(caught, [true; 2]);
}

/// Weakens `site` and runs the scenario that must show it: whether it did, its name, and the time that it took.
fn weaken(site: Site) -> (bool, &'static str, f64) {
    let Some(&(_, name)) = CAUGHT_BY.iter().find(|row| row.0 == site) else { return (false, "", 0.0) };
    let scenario = SCENARIOS.iter().find(|row| row.0 == name).expect("a scenario of that name").1;
    let start = Instant::now();
    // loom runs its threads as coroutines of this thread, so all of them see what is injected here.
    fault::inject(fault::site(site));
    let caught = std::panic::catch_unwind(scenario).is_err();
    fault::inject(0);
    (caught, name, start.elapsed().as_secs_f64())
}
