//! The operations, once for each platform.

/// Makes a module of functions for each platform.
macro_rules! operations {
    ($($(#[$meta:meta])* $module:ident: $platform:ty;)+) => {$(
        $(#[$meta])*
        pub mod $module {
            #[allow(unused_imports, reason = "each platform needs some")]
            use super::*;
            use shootdown::flush::{FlushRequest, Full, Gather, PageRange, Pending, PendingFrames};
            use shootdown::mask::CpuMask;
            use shootdown::refs::{SpaceExited, StructRef, Teardown, UserRef};
            use shootdown::{AddressSpace, EngineError, Platform, Shootdown};

            type P = $platform;
            type Frame = u64;

            body! { $module:
                online_cpu(engine: &Engine) -> Result<(), EngineError> { engine.online_cpu() }
                offline_cpu(engine: &Engine) { engine.offline_cpu() }
                switch_to(engine: &Engine, next: &User) { engine.switch_to(next) }
                enter_lazy(engine: &Engine) { engine.enter_lazy() }
                leave(engine: &Engine) { engine.leave() }
                borrow(engine: &Engine, user: &User, work: fn(&Space)) -> Result<(), EngineError> {
                    engine.borrow(user).map(|borrow| work(&borrow))
                }
                with_temporary_space(engine: &Engine, user: &User, work: fn()) {
                    // SAFETY: 1. nothing of it runs.
                    unsafe { engine.with_temporary_space(user, work) }
                }
                handle_ipi(engine: &Engine) {
                    // SAFETY: 1. and 2. nothing of it runs.
                    unsafe { engine.handle_ipi() }
                }
                flush(engine: &Engine, space: &Space, request: FlushRequest) { engine.flush(space, request) }
                send(engine: &'static Engine, space: &'static Space, request: FlushRequest) -> Pending<'static, P> {
                    engine.send(space, request)
                }
                finish(pending: Pending<'static, P>) { pending.finish() }
                flush_kernel(engine: &Engine, request: FlushRequest) { engine.flush_kernel(request) }
                send_kernel(engine: &'static Engine, request: FlushRequest) -> Pending<'static, P> {
                    engine.send_kernel(request)
                }
                gather(engine: &'static Engine, space: &'static Space) -> Open { engine.gather(space) }
                gather_within(engine: &'static Engine, space: &'static Space, range: PageRange) -> Open {
                    engine.gather_within(space, range)
                }
                gather_unmapped(gather: &mut Open, range: PageRange, frame: Frame) -> Result<(), Full<Frame>> {
                    gather.unmapped(range, frame)
                }
                gather_table_freed(gather: &mut Open, range: PageRange, table: Frame) -> Result<(), Full<Frame>> {
                    gather.table_freed(range, table)
                }
                gather_changed(gather: &mut Open, range: PageRange) { gather.changed(range) }
                gather_send(gather: Open) -> Sent { gather.send() }
                gather_finish(gather: Open) { gather.finish() }
                gather_finish_with(sent: Sent, take: fn(Frame)) { sent.finish_with(take) }
                trim(engine: &Engine, space: &Space) { engine.trim(space) }
                new_space(engine: &Engine, root: <P as Platform>::Root) -> Result<Space, EngineError> {
                    engine.new_space(root, CpuMask::new())
                }
                register(engine: &'static Engine, handle: &'static Space) -> Option<User> { engine.register(handle).ok() }
                user_clone(user: &User) -> User { user.clone() }
                user_drop(user: User) { drop(user) }
                user_put(user: User) -> Option<Teardown<'static, P>> { user.put() }
                user_grab(user: &User) -> StructRef<'static, P> { user.grab() }
                struct_clone(held: &StructRef<'static, P>) -> StructRef<'static, P> { held.clone() }
                struct_drop(held: StructRef<'static, P>) { drop(held) }
                struct_upgrade(held: &StructRef<'static, P>) -> Result<User, SpaceExited> { held.upgrade() }
                teardown_finish(teardown: Teardown<'static, P>) { teardown.finish() }
                teardown_drop(teardown: Teardown<'static, P>) { drop(teardown) }
            }

            type Engine = Shootdown<P>;
            type Space = AddressSpace<P>;
            type User = UserRef<'static, P>;
            type Open = Gather<'static, P, Frame, 8>;
            type Sent = PendingFrames<'static, P, Frame, 8>;
        }
    )+};
}

/// Makes a module of functions for each tag policy, of what a kernel calls that loads roots itself.
macro_rules! coherent_operations {
    ($($(#[$meta:meta])* $module:ident: $tags:ty;)+) => {$(
        $(#[$meta])*
        pub mod $module {
            use super::*;
            use shootdown::EngineError;
            use shootdown::coherence::{Entry, Evicted};
            use shootdown::flush::{ForeignTicket, FlushRequest, Full, Gather, PageRange, Pending, PendingFrames, Ticket};

            type P = Rootless<Embedder, CpuMask<4>, $tags>;
            type Frame = u64;

            body! { $module:
                online_cpu(engine: &Engine) -> Result<(), EngineError> { engine.online_cpu() }
                offline_cpu(engine: &Engine) { engine.offline_cpu() }
                enter(engine: &'static Engine, next: &'static Space) -> Entry<'static, P> { engine.enter(next) }
                loaded(entry: Entry<'static, P>) {
                    // SAFETY: 1. to 4. nothing of it runs.
                    unsafe { entry.loaded() }
                }
                will_load(entry: Entry<'static, P>) {
                    // SAFETY: 1. to 4. nothing of it runs.
                    unsafe { entry.will_load() }
                }
                entry_drop(entry: Entry<'static, P>) { drop(entry) }
                enter_lazy(engine: &Engine) { engine.enter_lazy() }
                exit_lazy(engine: &Engine) -> Result<(), Evicted> { engine.exit_lazy() }
                leave(engine: &Engine) { engine.leave() }
                retire(engine: &Engine, space: &Space) { engine.retire(space) }
                begin_retire(engine: &Engine, space: &Space) -> Ticket<P> { engine.begin_retire(space) }
                is_retired(engine: &Engine, space: &Space, ticket: &mut Ticket<P>) -> Result<bool, ForeignTicket> {
                    engine.is_retired(space, ticket)
                }
                handle_ipi(engine: &Engine) {
                    // SAFETY: 1. and 2. nothing of it runs.
                    unsafe { engine.handle_ipi() }
                }
                flush(engine: &Engine, space: &Space, request: FlushRequest) { engine.flush(space, request) }
                send(engine: &'static Engine, space: &'static Space, request: FlushRequest) -> Pending<'static, P> {
                    engine.send(space, request)
                }
                finish(pending: Pending<'static, P>) { pending.finish() }
                flush_kernel(engine: &Engine, request: FlushRequest) { engine.flush_kernel(request) }
                send_kernel(engine: &'static Engine, request: FlushRequest) -> Pending<'static, P> {
                    engine.send_kernel(request)
                }
                gather(engine: &'static Engine, space: &'static Space) -> Open { engine.gather(space) }
                gather_within(engine: &'static Engine, space: &'static Space, range: PageRange) -> Open {
                    engine.gather_within(space, range)
                }
                gather_unmapped(gather: &mut Open, range: PageRange, frame: Frame) -> Result<(), Full<Frame>> {
                    gather.unmapped(range, frame)
                }
                gather_table_freed(gather: &mut Open, range: PageRange, table: Frame) -> Result<(), Full<Frame>> {
                    gather.table_freed(range, table)
                }
                gather_changed(gather: &mut Open, range: PageRange) { gather.changed(range) }
                gather_send(gather: Open) -> Sent { gather.send() }
                gather_finish(gather: Open) { gather.finish() }
                gather_finish_with(sent: Sent, take: fn(Frame)) { sent.finish_with(take) }
                trim(engine: &Engine, space: &Space) { engine.trim(space) }
                new_space(engine: &Engine, root: u64) -> Result<Space, EngineError> {
                    engine.new_space(root, CpuMask::new())
                }
            }

            type Engine = Shootdown<P>;
            type Space = AddressSpace<P>;
            type Open = Gather<'static, P, Frame, 8>;
            type Sent = PendingFrames<'static, P, Frame, 8>;
        }
    )+};
}

/// Makes functions that are compiled as they stand, each with its symbol.
macro_rules! body {
    ($module:ident: $($name:ident($($argument:ident: $type:ty),*) $(-> $answer:ty)? $body:block)+) => {$(
        #[doc = concat!("Is the operation `", stringify!($name), "`.")]
        // SAFETY: no other symbol has a dot like this.
        #[unsafe(export_name = concat!(stringify!($module), ".", stringify!($name)))]
        #[allow(clippy::missing_errors_doc, clippy::needless_pass_by_value, reason = "only its machine code matters")]
        pub fn $name($($argument: $type),*) $(-> $answer)? $body
    )+};
}
