//! The bytes that a defmt logger is handed. In these tests defmt counts its strings instead of interning them
//! (`unstable-test`), so that they link on a host.

use defmt::export::{fetch_bytes, fetch_string_index};
use shootdown::trace::Event;
use shootdown::{CpuId, SpaceId};
use shootdown_trace::Record;

/// What one record adds: an index of its format, then its numbers, least byte first.
fn bytes(record: Record) -> (u16, Vec<u8>) {
    let index = fetch_string_index();
    defmt::export::istr(&<Record as defmt::Format>::_format_tag());
    defmt::Format::format(&record, defmt::export::make_formatter());
    (index, fetch_bytes())
}

#[test]
fn a_frame_holds_the_numbers_and_no_words_of_the_format() {
    let (cpu, space) = (CpuId::new(2), SpaceId::new(0x0102_0304));
    let (index, bytes) = bytes(Record::new(cpu, Event::Switched(space)));
    let name = b"switched";
    let mut expected = Vec::new();
    expected.extend(index.to_le_bytes()); // the tag of `Record`, whose format is in its data
    expected.extend((index + 1).to_le_bytes()); // "CPU {=u32} {=str} space={=u64}"
    expected.extend(2_u32.to_le_bytes());
    expected.extend(u32::try_from(name.len()).expect("short").to_le_bytes());
    expected.extend(name);
    expected.extend(0x0102_0304_u64.to_le_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn each_kind_of_event_has_a_format_of_its_own_length() {
    let cpu = CpuId::new(0);
    let length = |event| bytes(Record::new(cpu, event)).1.len();
    // Two indices, the CPU, the length of the name and the name itself; then the numbers.
    let base = |name: &str| 2 + 2 + 4 + 4 + name.len();
    assert_eq!(length(Event::IpiHandled), base("ipi handled"));
    assert_eq!(length(Event::IpiSent(CpuId::new(1))), base("ipi sent") + 4);
    assert_eq!(length(Event::RootFreed(SpaceId::new(1))), base("root-freed") + 8);
}
