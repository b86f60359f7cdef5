#![doc = include_str!("../README.md")]
#![no_std]

use core::any::TypeId;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU8, Ordering};
use shootdown::{Platform, Shootdown};

/// A place for one engine, filled once.
///
/// # Invariants
/// `engine` is written by whoever moved `state` from `EMPTY` to `FILLING`, before it stores `FILLED`, and never again.
pub struct Global<P: Platform> {
    state: AtomicU8,
    engine: UnsafeCell<MaybeUninit<Shootdown<P>>>,
}

const EMPTY: u8 = 0;
const FILLING: u8 = 1;
const FILLED: u8 = 2;

// SAFETY: the engine is written once by one caller, and shared only afterwards (see Invariants); it is `Sync` as its
// platform is, and `Send` where that is, which whoever fills the place from another thread needs.
unsafe impl<P: Platform + Send> Sync for Global<P> where Shootdown<P>: Send + Sync {}

/// There is no engine to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The place is empty: `set` comes first, at boot.
    NotSet,
    /// The kernel provides an engine of another platform than is asked for here.
    OtherPlatform,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Missing::NotSet => "the engine was not set yet; call set() on the provided global at boot",
            Missing::OtherPlatform => {
                "the provided engine is of another platform; name the same one in both macros"
            }
        })
    }
}

impl core::error::Error for Missing {}

/// The place was filled before: the engine comes back.
pub struct AlreadySet<P: Platform>(pub Shootdown<P>);

impl<P: Platform> fmt::Debug for AlreadySet<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlreadySet(..)")
    }
}

impl<P: Platform> fmt::Display for AlreadySet<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the global has an engine already; the second one comes back with this error")
    }
}

impl<P: Platform> core::error::Error for AlreadySet<P> {}

impl<P: Platform> Global<P> {
    /// Makes an empty place.
    pub const fn new() -> Self {
        Self { state: AtomicU8::new(EMPTY), engine: UnsafeCell::new(MaybeUninit::uninit()) }
    }

    /// Fills the place, once.
    ///
    /// # Errors
    /// [`AlreadySet`], with the engine.
    #[expect(clippy::result_large_err, reason = "the engine comes back by value, as nothing is allocated")]
    pub fn set(&self, engine: Shootdown<P>) -> Result<&Shootdown<P>, AlreadySet<P>> {
        // ORDER: relaxed; who wins has nothing to see of others, and publishes below.
        if self.state.compare_exchange(EMPTY, FILLING, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return Err(AlreadySet(engine));
        }
        let place = self.engine.get();
        // SAFETY: the state is FILLING, and it was this caller who made it so: nobody else reads or writes the place.
        let place = unsafe { &mut *place };
        let engine = place.write(engine);
        // Released: the engine before the state that shows it; `get` acquires.
        self.state.store(FILLED, Ordering::Release);
        Ok(engine)
    }

    /// The engine.
    ///
    /// # Errors
    /// [`Missing::NotSet`].
    #[inline]
    pub fn get(&self) -> Result<&Shootdown<P>, Missing> {
        // Acquired: the state before the engine that it shows; `set` releases.
        if self.state.load(Ordering::Acquire) != FILLED {
            return Err(Missing::NotSet);
        }
        let place = self.engine.get();
        // SAFETY: the state is FILLED: nobody writes the place any more.
        let place = unsafe { &*place };
        // SAFETY: it was written before the state became FILLED, which was read with acquire.
        Ok(unsafe { place.assume_init_ref() })
    }
}

impl<P: Platform> Default for Global<P> {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Platform> fmt::Debug for Global<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Global").field("set", &self.get().is_ok()).finish()
    }
}

/// What [`provide!`] exports under a name that the linker knows.
#[doc(hidden)]
pub struct Provided {
    platform: fn() -> TypeId,
    global: *const (),
}

// SAFETY: the pointer is to a static that is `Sync`, which the only constructor demands.
unsafe impl Sync for Provided {}

impl Provided {
    #[doc(hidden)]
    pub const fn new<P: Platform + 'static>(global: &'static Global<P>) -> Self
    where
        Global<P>: Sync,
    {
        Self { platform: TypeId::of::<P>, global: core::ptr::from_ref(global).cast() }
    }

    #[doc(hidden)]
    #[inline]
    pub fn get<P: Platform + 'static>(&'static self) -> Result<&'static Shootdown<P>, Missing> {
        if (self.platform)() != TypeId::of::<P>() {
            return Err(Missing::OtherPlatform);
        }
        let global = self.global.cast::<Global<P>>();
        // SAFETY: `new` made it from a static global of a platform of this type, as was just compared.
        unsafe { &*global }.get()
    }
}

/// Provides the engine of the whole program: makes a static [`Global`], and exports it to every [`require!`]. Use it once, in
/// the crate that makes the platform; a second one is an error of the linker.
///
/// ```text
/// shootdown_global::provide! {
///     /// The engine of this kernel.
///     pub static ENGINE: Kernel;
/// }
/// ```
#[macro_export]
macro_rules! provide {
    ($(#[$meta:meta])* $vis:vis static $name:ident: $platform:ty;) => {
        $(#[$meta])*
        $vis static $name: $crate::Global<$platform> = $crate::Global::new();
        const _: () = {
            // SAFETY: no other symbol has this name, and the linker refuses a second one.
            #[unsafe(export_name = "shootdown_engine_is_missing__use_shootdown_global_provide")]
            static PROVIDED: $crate::Provided = $crate::Provided::new(&$name);
        };
    };
}

/// Makes a function that returns the engine that [`provide!`] provides, wherever that is. Where nothing provides one, the
/// linker names `shootdown_engine_is_missing__use_shootdown_global_provide`.
///
/// ```text
/// shootdown_global::require! {
///     /// The kernel's engine.
///     pub fn engine() -> Kernel;
/// }
/// ```
#[macro_export]
macro_rules! require {
    ($(#[$meta:meta])* $vis:vis fn $name:ident() -> $platform:ty;) => {
        $(#[$meta])*
        ///
        /// # Errors
        /// The engine was not set yet, or is of another platform.
        #[inline]
        $vis fn $name() -> ::core::result::Result<&'static $crate::Engine<$platform>, $crate::Missing> {
            unsafe extern "Rust" {
                // SAFETY: `provide!` exports a static of this type, and nothing else has the name.
                #[link_name = "shootdown_engine_is_missing__use_shootdown_global_provide"]
                safe static PROVIDED: $crate::Provided;
            }
            PROVIDED.get::<$platform>()
        }
    };
}

/// The engine, for [`require!`].
#[doc(hidden)]
pub type Engine<P> = Shootdown<P>;
