//! matrix
#[macro_use]
mod scenarios;
mod support;
use shootdown_under_loom::fault::{self, Site};
use std::time::Instant;
macro_rules! table {
    ($($module:ident::$name:ident,)*) => {
        const ALL: &[(&str, fn())] = &[$((stringify!($name), scenarios::$module::$name),)*];
    };
}
with_scenarios!(table);
#[test]
fn matrix() {
    let only = std::env::var("ONLY").ok();
    std::panic::set_hook(Box::new(|_| {}));
    for site in Site::ALL {
        if only.as_deref().is_some_and(|o| o != site.name()) { continue }
        print!("{:16}", site.name());
        for (name, scenario) in ALL {
            if ["trim_vs_enter_lazy", "trim_of_an_offline_cpu","nested_gathers","two_flushers","two_flushers_one_target","bit_gone_before_the_answer","record_vs_record"].contains(name) && !matches!(site, Site::GatherClose|Site::GatherSeen) { continue }
            fault::inject(fault::site(*site));
            let start = Instant::now();
            if let Err(e) = std::panic::catch_unwind(scenario) {
                print!(" {name}({:.2}s {})", start.elapsed().as_secs_f32(), e.downcast_ref::<String>().map_or("?", |s| &s[..s.len().min(60)]));
            }
        }
        println!();
    }
}
