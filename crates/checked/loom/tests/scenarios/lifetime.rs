//! References, teardown and the end of a root.

use crate::support::{Cpu, Plain, Plan, explore};

/// SD-10: a space dies under a lazy CPU, whose walker may use the root until it has left.
pub fn lazy_vs_final_drop() {
    explore::<Plain>(|| Plan {
        pages: &[1],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.on(0).run(0);
            machine.on(1).run(0);
            machine.on(1).exit(0);
        },
        scripts: &[
            |cpu| {
                cpu.exit(0);
                assert!(cpu.is_freed(0));
            },
            |cpu| cpu.poll(),
        ],
        ..Plan::default()
    });
}

/// SD-10: the same while the lazy CPU goes over to another space.
pub fn switch_away_vs_final_drop() {
    explore::<Plain>(|| Plan {
        pages: &[0, 0],
        before: |machine| {
            machine.register(0, 2, 0);
            machine.register(1, 1, 0);
            machine.on(0).run(0);
            machine.on(1).run(0);
            machine.on(1).exit(0);
        },
        scripts: &[
            |cpu| {
                cpu.exit(0);
                assert!(cpu.is_freed(0));
            },
            |cpu| cpu.run(1),
        ],
        ..Plan::default()
    });
}

/// SD-10: what a user did comes before the teardown that another user's put begins.
pub fn put_vs_teardown() {
    explore::<Plain>(|| Plan {
        pages: &[0],
        before: |machine| machine.register(0, 2, 0),
        scripts: &[put_and_check, put_and_check],
        ..Plan::default()
    });
}

fn put_and_check(cpu: &Cpu<'_, Plain>) {
    if put(cpu) {
        assert!(cpu.is_freed(0));
    }
}

/// SD-10: an upgrade takes the space before its end or not at all; mappings die once.
pub fn upgrade_vs_last_put() {
    explore::<Plain>(|| Plan {
        pages: &[0],
        before: |machine| machine.register(0, 1, 1),
        scripts: &[
            |cpu| {
                put(cpu);
            },
            |cpu| {
                let pin = cpu.pin(0);
                if let Ok(user) = pin.upgrade() {
                    cpu.read_notes(0);
                    if let Some(teardown) = user.put() {
                        cpu.drop_notes(0);
                        teardown.finish();
                    }
                }
                drop(pin);
            },
        ],
        ..Plan::default()
    });
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
    explore::<Plain>(|| Plan {
        pages: &[0],
        before: |machine| machine.register(0, 1, 0),
        scripts: &[|cpu| (0..3).for_each(|_| cpu.make_space()), |cpu| (0..3).for_each(|_| cpu.make_space())],
        ..Plan::default()
    });
}

/// SD-10: what a holder did with the space comes before the root is freed.
pub fn struct_drop_vs_free() {
    explore::<Plain>(|| Plan {
        pages: &[0],
        before: |machine| {
            machine.register(0, 1, 2);
            machine.on(0).user(0).put().expect("the only one").finish();
        },
        scripts: &[look_and_drop, look_and_drop],
        ..Plan::default()
    });
}

fn look_and_drop(cpu: &Cpu<'_, Plain>) {
    let pin = cpu.pin(0);
    // Any look at the object will do: its mask, for one.
    let words = shootdown_under_loom::mask::MaskStore::words(pin.mask()).len();
    assert_eq!(words, 1);
    drop(pin);
}
