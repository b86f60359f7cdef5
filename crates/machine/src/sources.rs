/// The source that models run and that is not their own: the kit, the IOMMU's queue, and writes that fault. Pages show it; file
/// name and text.
pub const SOURCES: [(&str, &str); 6] = [
    ("cross_call.rs", include_str!("kit/cross_call.rs")),
    ("device.rs", include_str!("device.rs")),
    ("dirty.rs", include_str!("dirty.rs")),
    ("lock.rs", include_str!("kit/lock.rs")),
    ("mailbox.rs", include_str!("kit/mailbox.rs")),
    ("mm.rs", include_str!("kit/mm.rs")),
];
