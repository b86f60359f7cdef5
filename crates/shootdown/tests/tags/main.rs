//! Tag allocators on a host machine whose TLBs are modelled: what each promises, and a million switches at random.

mod allocators;
#[path = "../machine/mod.rs"]
mod machine;
mod random;
mod refused;

use machine::state::State;
use machine::{Kind, Machine, Plain, space};
use shootdown::tags::TagPolicy;

type Host<T> = Machine<Plain<T>>;
type User<T> = machine::User<Plain<T>>;

/// A machine of `cpus` CPUs; `tags` makes the policy.
fn machine<T: TagPolicy + 'static>(cpus: u32, tags: impl FnOnce(&'static State) -> T) -> &'static Host<T> {
    let state = State::new(cpus);
    machine::machine(state, Plain::<T>::mask(state), tags(state))
}

/// So many spaces.
fn spaces<T: TagPolicy>(host: &Host<T>, count: usize) -> Vec<User<T>> {
    (0..count as u64).map(|root| space(host, root)).collect()
}
