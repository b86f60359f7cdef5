//! References, teardown and the end of a root.

use crate::support::Start::{Kernel, User};
use crate::support::{Cpu, Plain, scenario};

/// Ends the last process of space 0, whose root is then free.
fn exit_last(cpu: &Cpu<'_, Plain>) {
    cpu.exit(0);
    assert!(cpu.is_freed(0));
}

/// SD-10: a space dies under a lazy CPU, whose walker may use the root until it has left.
pub fn lazy_vs_final_drop() {
    scenario::<Plain>()
        .space(1, 2)
        .cpu(User(0), exit_last)
        .cpu(User(0), |cpu| cpu.poll())
        .before(|machine| machine.on(1).exit(0))
        .explore();
}

/// SD-10: the same while the lazy CPU goes over to another space.
pub fn switch_away_vs_final_drop() {
    scenario::<Plain>()
        .space(0, 2)
        .space(0, 1)
        .cpu(User(0), exit_last)
        .cpu(User(0), |cpu| cpu.run(1))
        .before(|machine| machine.on(1).exit(0))
        .explore();
}

/// SD-10: what a user did comes before the teardown that another user's put begins.
pub fn put_vs_teardown() {
    scenario::<Plain>().space(0, 2).cpu(Kernel, put_and_check).cpu(Kernel, put_and_check).explore();
}

fn put_and_check(cpu: &Cpu<'_, Plain>) {
    if put(cpu) {
        assert!(cpu.is_freed(0));
    }
}

/// SD-10: an upgrade takes the space before its end or not at all; mappings die once.
pub fn upgrade_vs_last_put() {
    scenario::<Plain>()
        .space(0, 1)
        .pins(1)
        .cpu(Kernel, |cpu| {
            put(cpu);
        })
        .cpu(Kernel, |cpu| {
            let pin = cpu.pin(0);
            if let Ok(user) = pin.upgrade() {
                cpu.read_notes(0);
                if let Some(teardown) = user.put() {
                    cpu.drop_notes(0);
                    teardown.finish();
                }
            }
            drop(pin);
        })
        .explore();
}

/// SD-10: an upgrade is refused where no user is left and nowhere else: another user goes meanwhile, and one stays.
pub fn upgrade_vs_another_put() {
    scenario::<Plain>()
        .space(0, 2)
        .pins(1)
        .cpu(Kernel, |cpu| {
            let pin = cpu.pin(0);
            let upgraded = pin.upgrade().map(|user| user.put().is_none());
            drop(pin);
            assert_eq!(upgraded, Ok(true), "a user is left");
        })
        .cpu(Kernel, |cpu| assert!(cpu.user(0).put().is_none(), "a user is left"))
        .explore();
}

/// Uses what users share, then puts; tears down, and says so, if it was the last user.
fn put(cpu: &Cpu<'_, Plain>) -> bool {
    cpu.read_notes(0);
    let Some(teardown) = cpu.user(0).put() else { return false };
    cpu.drop_notes(0);
    teardown.finish();
    true
}

/// SD-12: CPUs that make spaces, more than a block of identities each.
pub fn spaces_made_at_once() {
    let three: fn(&Cpu<'_, Plain>) = |cpu| (0..3).for_each(|_| cpu.make_space());
    scenario::<Plain>().space(0, 1).cpu(Kernel, three).cpu(Kernel, three).explore();
}

/// SD-10: what a holder did with the space comes before the root is freed.
pub fn struct_drop_vs_free() {
    scenario::<Plain>()
        .space(0, 1)
        .pins(2)
        .cpu(Kernel, look_and_drop)
        .cpu(Kernel, look_and_drop)
        .before(|machine| machine.on(0).user(0).put().expect("the only one").finish())
        .explore();
}

fn look_and_drop(cpu: &Cpu<'_, Plain>) {
    let pin = cpu.pin(0);
    // Any look at the object will do: its mask, for one.
    let words = shootdown_under_loom::mask::MaskStore::words(pin.mask()).len();
    assert_eq!(words, 1);
    drop(pin);
}
