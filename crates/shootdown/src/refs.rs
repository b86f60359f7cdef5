//! User and struct references, the teardown between them, and borrows (Linux: `mm_users`, `mm_count`,
//! `kthread_use_mm`).
//!
//! ```text
//!             register              last UserRef goes              last StructRef goes
//!   fresh ───────────► live ─────────────────────────► exiting ─────────────────────► root freed
//!                 upgrade succeeds        Teardown            upgrade fails
//! ```

use crate::engine::Shootdown;
use crate::fault::Site;
use crate::hw;
use crate::platform::Platform;
use crate::space::AddressSpace;
use crate::sync;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use core::sync::atomic::Ordering;

pub use crate::handles::{StructHandle, TeardownHandle, UserHandle};
pub use crate::platform::SpaceHandle;
pub use crate::switch::Borrow;

/// A user reference, which keeps the mappings of a space (Linux: a count in `mm_users`).
///
/// Dropping the last one hands a [`Teardown`] to [`Platform::defer_teardown`]; [`put`](Self::put) returns it instead.
/// Safe to drop in any context.
#[must_use = "dropping the last user reference tears the mappings down"]
pub struct UserRef<'m, P: Platform> {
    held: StructLike<'m, P>,
}

/// A struct reference, which keeps a space's object and root but not its mappings (Linux: a count in `mm_count`).
///
/// Dropping the last one evicts the CPUs that are lazy on the space and frees the root; that waits for them, so drop it
/// where waiting for IPIs is allowed.
#[must_use = "dropping the last struct reference frees the root"]
pub struct StructRef<'m, P: Platform> {
    held: StructLike<'m, P>,
}

/// The duty to unmap everything, left by the last [`UserRef`] (Linux: `__mmput`).
///
/// Unmap through [`Shootdown::gather`], then [`finish`](Self::finish). If it is dropped instead, it goes to
/// [`Platform::defer_teardown`].
#[must_use = "the mappings are still there: unmap them, then call finish"]
pub struct Teardown<'m, P: Platform> {
    held: StructLike<'m, P>,
}

/// Machine and pointer, without a count.
struct StructLike<'m, P: Platform> {
    engine: &'m Shootdown<P>,
    /// Not dropped as a field. A reference drops it as its last step. Where a callback unwinds before that, the count
    /// was not given up or CPUs may still have the space loaded, so the handle is leaked (SD-10).
    handle: ManuallyDrop<P::Handle>,
}

impl<P: Platform> Clone for StructLike<'_, P> {
    fn clone(&self) -> Self {
        Self { engine: self.engine, handle: self.handle.clone() }
    }
}

impl<'m, P: Platform> StructLike<'m, P> {
    fn new(engine: &'m Shootdown<P>, handle: P::Handle) -> Self {
        Self { engine, handle: ManuallyDrop::new(handle) }
    }

    /// Moves the handle out of a reference that ends.
    fn take(&mut self) -> P::Handle {
        hw::take_handle(&mut self.handle)
    }

    /// Moves the machine and the handle out of a reference that ends.
    fn pass_on(&mut self) -> Self {
        Self::new(self.engine, self.take())
    }
}

/// The space is past its last user reference: there is nothing to upgrade to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpaceExited;

impl fmt::Display for SpaceExited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address space has no user left; its mappings are gone or going")
    }
}

impl core::error::Error for SpaceExited {}

impl<'m, P: Platform> UserRef<'m, P> {
    /// Takes a struct reference (Linux: `mmgrab`).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// let pin = user.grab();
    /// let teardown = user.put().unwrap(); // `pin` does not keep the mappings
    /// teardown.finish();
    /// assert!(!ENGINE.platform().is_freed(0x1000)); // but it keeps the root
    /// drop(pin);
    /// assert!(ENGINE.platform().is_freed(0x1000));
    /// ```
    pub fn grab(&self) -> StructRef<'m, P> {
        StructRef::raised(self.held.clone())
    }

    /// Gives the reference up; returns the duty to unmap if it was the last (Linux: `mmput`).
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// let other = user.clone();
    /// assert!(user.put().is_none());
    /// let teardown = other.put().unwrap();
    /// // ... unmap everything through `ENGINE.gather(&teardown)` ...
    /// teardown.finish();
    /// assert!(ENGINE.platform().is_freed(0x1000));
    /// ```
    #[must_use = "the last user leaves a teardown: unmap everything, then finish it"]
    pub fn put(self) -> Option<Teardown<'m, P>> {
        ManuallyDrop::new(self).release()
    }

    /// Takes the reference apart, still counted, so that it can be kept without a lifetime; put it together again with
    /// [`Shootdown::user_from_handle`].
    pub fn into_handle(self) -> UserHandle<P> {
        UserHandle::counted(ManuallyDrop::new(self).held.take())
    }

    pub(crate) fn counted(engine: &'m Shootdown<P>, handle: P::Handle) -> Self {
        Self { held: StructLike::new(engine, handle) }
    }

    /// Gives the count up. The reference is not used afterwards.
    fn release(&mut self) -> Option<Teardown<'m, P>> {
        let space = self.held.handle.space();
        // ORDER(SD-10): what this user did with the mappings comes before the count drops; partner: the fence below, in the
        // `UserRef::release` of the last one.
        if space.users.fetch_sub(1, Site::UserDrop.release()) != 1 {
            drop(self.held.take());
            return None;
        }
        // ORDER(SD-10): the teardown sees what every former user did; partner: the store above, in the `UserRef::release` of
        // each.
        Site::UserLast.acquire_fence();
        // The struct reference that all users shared passes to the teardown.
        Some(Teardown { held: self.held.pass_on() })
    }
}

impl<P: Platform> Clone for UserRef<'_, P> {
    /// Takes another user reference (Linux: `mmget`).
    fn clone(&self) -> Self {
        // Cloned first: a handle that unwinds leaves no count raised.
        let held = self.held.clone();
        // ORDER: relaxed, as the caller's own reference keeps the count above 0 (`put_vs_teardown`).
        held.handle.space().users.fetch_add(1, Ordering::Relaxed);
        Self { held }
    }
}

impl<P: Platform> Drop for UserRef<'_, P> {
    fn drop(&mut self) {
        drop(self.release());
    }
}

impl<'m, P: Platform> StructRef<'m, P> {
    fn raised(held: StructLike<'m, P>) -> Self {
        // ORDER: relaxed, as the caller's own reference keeps the count above 0 (`struct_drop_vs_free`).
        held.handle.space().structs.fetch_add(1, Ordering::Relaxed);
        Self { held }
    }

    pub(crate) fn counted(engine: &'m Shootdown<P>, handle: P::Handle) -> Self {
        Self { held: StructLike::new(engine, handle) }
    }

    /// Takes the reference apart, still counted, so that it can be kept without a lifetime; put it together again with
    /// [`Shootdown::struct_from_handle`].
    pub fn into_handle(self) -> StructHandle<P> {
        StructHandle::counted(ManuallyDrop::new(self).held.take())
    }

    /// Takes a user reference if the space still has one (Linux: `mmget_not_zero`).
    ///
    /// # Errors
    /// [`SpaceExited`] from teardown on.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// # use shootdown::refs::SpaceExited;
    /// let user = boot(0x1000);
    /// let pin = user.grab();
    /// let borrower = pin.upgrade()?;
    /// assert_eq!(borrower.users(), 2);
    /// drop(borrower);
    /// user.put().unwrap().finish();
    /// assert_eq!(pin.upgrade().err(), Some(SpaceExited));
    /// # Ok::<(), SpaceExited>(())
    /// ```
    pub fn upgrade(&self) -> Result<UserRef<'m, P>, SpaceExited> {
        // Cloned first: a handle that unwinds leaves no count raised.
        let mut held = self.held.clone();
        // ORDER: relaxed. Success means that a user reference existed, so the mappings live; what they are is published
        // by page-table locks, not by this count (SD-9; `upgrade_vs_last_put`).
        let raised = sync::update(&self.held.handle.space().users, Ordering::Relaxed, |users| {
            if users == 0 { None } else { Some(users + 1) }
        });
        match raised {
            Ok(_) => Ok(UserRef { held }),
            Err(_) => {
                drop(held.take());
                Err(SpaceExited)
            }
        }
    }
}

impl<P: Platform> Clone for StructRef<'_, P> {
    /// Takes another struct reference (Linux: `mmgrab`).
    fn clone(&self) -> Self {
        Self::raised(self.held.clone())
    }
}

impl<P: Platform> Drop for StructRef<'_, P> {
    fn drop(&mut self) {
        let space = self.held.handle.space();
        // ORDER(SD-10): what this holder did with the space comes before the count drops; partner: the fence below, in the
        // `StructRef::drop` of the last one.
        if space.structs.fetch_sub(1, Site::StructDrop.release()) == 1 {
            // ORDER(SD-10): eviction and freeing see what every former holder did, the lazy marks of their CPUs
            // included; partner: the store above, in the `StructRef::drop` of each.
            Site::StructLast.acquire_fence();
            return self.held.engine.free_space(self.held.take());
        }
        drop(self.held.take());
    }
}

impl<'m, P: Platform> Teardown<'m, P> {
    /// Ends the teardown after the last gather has finished (Linux: the `mmdrop` in `__mmput`): gives up the struct
    /// reference that the users shared.
    ///
    /// # Examples
    /// ```
    /// # mod machine { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/machine.rs")); }
    /// # use machine::*;
    /// let user = boot(0x1000);
    /// on(1, || {
    ///     ENGINE.switch_to(&user);
    ///     ENGINE.enter_lazy();
    /// });
    /// let teardown = user.put().unwrap();
    /// teardown.finish(); // makes CPU 1 leave the root, then frees it
    /// assert_eq!(ipis(), 1);
    /// assert!(ENGINE.platform().is_freed(0x1000));
    /// ```
    pub fn finish(self) {
        drop(StructRef { held: ManuallyDrop::new(self).held.pass_on() });
    }

    /// Takes the duty apart so that it can be kept without a lifetime; put it together again with
    /// [`Shootdown::teardown_from_handle`]. The struct reference stays counted.
    pub fn into_handle(self) -> TeardownHandle<P> {
        TeardownHandle::counted(ManuallyDrop::new(self).held.take())
    }

    pub(crate) fn counted(engine: &'m Shootdown<P>, handle: P::Handle) -> Self {
        Self { held: StructLike::new(engine, handle) }
    }
}

impl<P: Platform> Drop for Teardown<'_, P> {
    fn drop(&mut self) {
        let engine = self.held.engine;
        engine.platform().defer_teardown(Teardown { held: self.held.pass_on() });
    }
}

macro_rules! leads_to_space {
    ($($ty:ident),*) => {$(
        impl<P: Platform> Deref for $ty<'_, P> {
            type Target = AddressSpace<P>;
            #[inline]
            fn deref(&self) -> &AddressSpace<P> {
                self.held.space()
            }
        }
        impl<P: Platform> fmt::Debug for $ty<'_, P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($ty)).field(&self.id()).finish()
            }
        }
    )*};
}
leads_to_space!(UserRef, StructRef, Teardown);

impl<P: Platform> StructLike<'_, P> {
    #[inline]
    fn space(&self) -> &AddressSpace<P> {
        self.handle.space()
    }
}
