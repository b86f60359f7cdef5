//! SD-12: a policy that falls back on tags of each CPU is not there where CPUs have no memory of them.

//= use without_features::tags::GlobalAsids as Tags;
use without_features::tags::GlobalOverLocal as Tags; //~ E0432

fn main() {
    println!("{}", core::any::type_name::<Option<Tags<'_, without_features::tags::FlushByIpi>>>());
}
