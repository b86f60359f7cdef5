//! SD-12: a CPU that has no memory of tags hands none out; the compiler names the feature `per-cpu-tags`.

//= use without_features::tags::Untagged as Tags;
use without_features::tags::PerCpuSlots as Tags; //~ E0432

fn main() {
    // Two lines that others touch, and two of the CPU's own.
    assert_eq!(size_of::<without_features::CpuLocal>(), 256);
    println!("{}", core::any::type_name::<Tags>());
}
