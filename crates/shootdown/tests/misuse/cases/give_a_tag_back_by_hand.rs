//! SD-12: a tag is given back when the engine says that its space is dead.

use kernel::*;

fn give_back<T: TagPolicy>(tags: &T, space: TagSpace<'_, T::Space>) {
    tags.retire(space);
}

fn main() {
    let user = user();
    let tags = ENGINE.platform().tags();
    //= println!("{:?}", tags.flush_method(user.tags()));
    give_back(tags, TagSpace { id: user.id(), memory: user.tags() }); //~ E0639
    let _ = give_back::<Untagged>;
}
