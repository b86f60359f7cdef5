//! Tag allocators on a host machine whose TLBs are modelled: what each promises, and a million switches at random.

mod allocators;
mod machine;
mod random;
mod refused;
