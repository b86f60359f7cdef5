//! The engine as shipped, under random schedules of 16 CPUs.

mod support;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use support::{Kept, Kind, OneTag, Plain, Tagged, explore};

const ITERATIONS: usize = 400;
const STEPS: usize = 40;

fn random<K: Kind>(seed: u64) {
    explore::<K>(RandomScheduler::new_from_seed(seed, ITERATIONS), STEPS);
}

fn pct<K: Kind>(seed: u64) {
    explore::<K>(PctScheduler::new_from_seed(seed, 4, ITERATIONS), STEPS);
}

macro_rules! tests {
    ($($name:ident: $how:ident::<$kind:ident>($seed:literal),)*) => {$(
        #[test]
        fn $name() {
            $how::<$kind>($seed);
        }
    )*};
}

tests! {
    plain_under_random_schedules: random::<Plain>(1),
    kept_bits_under_random_schedules: random::<Kept>(2),
    tags_under_random_schedules: random::<Tagged>(3),
    one_tag_under_random_schedules: random::<OneTag>(4),
    plain_under_priorities: pct::<Plain>(5),
    kept_bits_under_priorities: pct::<Kept>(6),
    tags_under_priorities: pct::<Tagged>(7),
    one_tag_under_priorities: pct::<OneTag>(8),
}
