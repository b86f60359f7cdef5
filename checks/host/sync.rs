//! The atomics of `shootdown_host::sync`, on words of the simulated machine.

use shootdown_explore::sync::Word;
pub use shootdown_explore::sync::fence;
pub use std::sync::atomic::Ordering;

/// Makes an atomic of a word. Methods do what those of `core` do.
macro_rules! atomic {
    ($name:ident, $type:ty, $from:expr, $to:expr) => {
        /// An atomic whose accesses the doctor sees.
        #[derive(Debug)]
        pub struct $name(Word);

        impl $name {
            /// Makes one.
            pub const fn new(value: $type) -> Self {
                Self(Word::new(stringify!($name), value as u64))
            }
            /// Loads the value.
            #[track_caller]
            pub fn load(&self, order: Ordering) -> $type {
                $from(self.0.load(order))
            }
            /// Stores a value.
            #[track_caller]
            pub fn store(&self, value: $type, order: Ordering) {
                self.0.store($to(value), order);
            }
            /// Stores a value and returns the one before.
            #[track_caller]
            pub fn swap(&self, value: $type, order: Ordering) -> $type {
                $from(self.0.swap($to(value), order))
            }
            /// Sets bits and returns the value before.
            #[track_caller]
            pub fn fetch_or(&self, value: $type, order: Ordering) -> $type {
                $from(self.0.fetch_or($to(value), order))
            }
            /// Keeps bits and returns the value before.
            #[track_caller]
            pub fn fetch_and(&self, value: $type, order: Ordering) -> $type {
                $from(self.0.fetch_and($to(value), order))
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new(<$type>::default())
            }
        }
    };
}

atomic!(AtomicBool, bool, |word| word != 0, u64::from);
atomic!(AtomicU32, u32, |word| word as u32, u64::from);
atomic!(AtomicU64, u64, |word| word, |value| value);

impl AtomicU64 {
    /// Adds and returns the value before.
    #[track_caller]
    pub fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        self.0.fetch_add(value, order)
    }
}
