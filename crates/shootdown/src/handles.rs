//! References without a lifetime, to keep in a queue, in a word or in C.

use crate::platform::{Platform, SpaceHandle};
use crate::space::AddressSpace;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;

macro_rules! handles {
    ($($(#[$meta:meta])* $name:ident of $reference:ident: $back:ident;)*) => {$(
        $(#[$meta])*
        #[doc = concat!("Made by [`", stringify!($reference), "::into_handle`](crate::refs::", stringify!($reference),
            "::into_handle); [`Shootdown::", stringify!($back), "`](crate::Shootdown::", stringify!($back),
            ") makes the reference again.")]
        ///
        /// It owns the count. Dropping it leaks the space, since a CPU may have it loaded.
        ///
        /// # Invariants
        /// The handle inside is counted, once, and is not dropped before the count is given up.
        #[must_use = "dropping the handle leaks the space"]
        pub struct $name<P: Platform>(ManuallyDrop<P::Handle>);

        impl<P: Platform> $name<P> {
            pub(crate) fn counted(handle: P::Handle) -> Self {
                // INVARIANT: the caller gives a reference up without giving up its count.
                Self(ManuallyDrop::new(handle))
            }

            pub(crate) fn into_counted(self) -> P::Handle {
                ManuallyDrop::into_inner(self.0)
            }

            /// The embedder's handle.
            pub fn inner(&self) -> &P::Handle {
                &self.0
            }

            /// Takes out the embedder's handle, to keep it in a word or hand it to C.
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. the handle goes back into [`from_inner`](Self::from_inner) or is forgotten. It may be dropped only
            ///    once the engine and the memory of its CPUs are gone: until then it may keep a space in place that a
            ///    CPU has loaded.
            #[expect(unsafe_code, reason = "safe code could drop the handle")]
            pub unsafe fn into_inner(self) -> P::Handle {
                self.into_counted()
            }

            /// Takes back what [`into_inner`](Self::into_inner) took out.
            ///
            /// # Safety
            /// The caller must ensure that:
            /// 1. a reference of this kind to the space was taken apart, and nothing else stands for it: the handle
            ///    came from `into_inner`, or it is a clone that takes the place of one that leaked.
            #[expect(unsafe_code, reason = "that the handle counts cannot be seen in its type")]
            pub unsafe fn from_inner(handle: P::Handle) -> Self {
                Self::counted(handle)
            }
        }

        impl<P: Platform> Deref for $name<P> {
            type Target = AddressSpace<P>;
            #[inline]
            fn deref(&self) -> &AddressSpace<P> {
                self.0.space()
            }
        }

        impl<P: Platform> fmt::Debug for $name<P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.id()).finish()
            }
        }
    )*};
}

handles! {
    /// A user reference without a lifetime.
    UserHandle of UserRef: user_from_handle;
    /// A struct reference without a lifetime.
    StructHandle of StructRef: struct_from_handle;
    /// The duty to unmap everything, without a lifetime.
    TeardownHandle of Teardown: teardown_from_handle;
}
