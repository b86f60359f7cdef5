use std::panic::Location;

/// The source that models run and that is not their own: the kit, the IOMMU's queue, and writes that fault. Pages show
/// it; file name, as [`file_name`] has it, and text.
pub const SOURCES: [(&str, &str); 6] = [
    ("model/kit/cross_call.rs", include_str!("kit/cross_call.rs")),
    ("model/device.rs", include_str!("device.rs")),
    ("model/dirty.rs", include_str!("dirty.rs")),
    ("model/kit/lock.rs", include_str!("kit/lock.rs")),
    ("model/kit/mailbox.rs", include_str!("kit/mailbox.rs")),
    ("model/kit/mm.rs", include_str!("kit/mm.rs")),
];

/// Returns what pages and lists call the file of `place`: its name without folders, or `model/` and its path if it is
/// one of [`SOURCES`]. So an author's own `lock.rs` is never taken for the kit's.
pub fn file_name(place: &Location<'static>) -> &'static str {
    let file = place.file();
    let ours = file!().strip_suffix("sources.rs").and_then(|folder| file.strip_prefix(folder));
    let known = SOURCES.into_iter().find(|(name, _)| name.strip_prefix("model/") == ours);
    known.map_or_else(|| file.rsplit(['/', '\\']).next().unwrap_or(file), |(name, _)| name)
}

/// Whether `code` shows a model's source: files by name, without folders, and what stands in them.
pub fn shows_source(code: &[(&str, &str)]) -> bool {
    let shows =
        |(file, text): &(&str, &str)| !file.is_empty() && !file.contains(['/', '\\']) && !text.is_empty();
    !code.is_empty() && code.iter().all(shows)
}

/// Whether `file_name` is that of a file which models share.
pub fn is_shared(file_name: &str) -> bool {
    SOURCES.iter().any(|(known, _)| *known == file_name)
}
