//! Words for drawings.

use crate::absent::ABSENT;
use crate::hw::{Install, Op, WalkCache, Which, Whose};
use crate::limits::{MAX_ENTRIES, MAX_TAGS};
use crate::machine::Machine;
use crate::state::{Local, ONLINE, Privilege, USER};
use crate::tables::space_name;

impl Machine {
    fn meant(&self, whose: Whose, which: Which) -> String {
        let pages = match which {
            Which::All => "all".to_owned(),
            Which::Page(page, walk) => format!("page {page}{}", also(walk)),
        };
        match whose {
            Whose::Tag(_) if self.config.tags == 1 => pages,
            Whose::Tag(tag) => format!("{pages} tag {tag}"),
            Whose::Space(space) => format!("{pages} of {}", space_name(space)),
            Whose::Users => format!("{pages} of all users"),
            Whose::Kernel => format!("kernel {pages}"),
        }
    }

    pub(crate) fn words(&self, op: Op) -> String {
        let tagged =
            |tag: u8| if self.config.tags == 1 && tag == 0 { String::new() } else { format!(" tag {tag}") };
        match op {
            Op::Install { space, tag, how } => {
                let root = space.map_or("none".into(), |s| space_name(s).to_string());
                let how = match how {
                    _ if self.config.tags == 1 => "",
                    Install::Keep => ", keep",
                    Install::FlushTag => ", flush tag",
                    Install::FlushAll => ", flush all",
                };
                format!("load root {root}{}{how}", tagged(tag))
            }
            Op::FlushPage { tag, page, walk } => format!("flush page {page}{}{}", tagged(tag), also(walk)),
            Op::FlushTag { tag } => {
                format!(
                    "flush{}",
                    if self.config.tags == 1 && tag == 0 { " user".into() } else { tagged(tag) }
                )
            }
            Op::FlushUser => "flush user".into(),
            Op::FlushKernelPage { page, walk } => {
                let linked = !self.tables.kernel_links.is_empty();
                format!("flush kernel page {page}{}", if linked { also(walk) } else { "" })
            }
            Op::FlushAll => "flush everything".into(),
            Op::Dsb => "wait for memory and hardware".into(),
            Op::Broadcast { whose, which } => format!("broadcast flush {}", self.meant(whose, which)),
            Op::FlushOn { cpu, whose, which } => {
                format!("flush {} on {}", self.meant(whose, which), self.who(cpu))
            }
            Op::FlushGuestPage { guest, everywhere: false } => format!("flush guest page {}", guest + 1),
            Op::FlushGuestPage { guest, everywhere: true } => {
                format!("broadcast flush guest page {}", guest + 1)
            }
            Op::SyncContext { everywhere: false } => "synchronise context".into(),
            Op::SyncContext { everywhere: true } => "synchronise context everywhere".into(),
            Op::Execute { piece, version } => format!("run version {version} of code {piece}"),
            Op::Obsolete { piece, version } => format!("version {version} of code {piece} is obsolete"),
            Op::Ats { device, on: true } => format!("ATS of device {device} on"),
            Op::Ats { device, on: false } => format!("ATS of device {device} off"),
            Op::Running { on: true } => "runs again".into(),
            Op::Running { on: false } => "taken off".into(),
            Op::User { on: true } => "user on".into(),
            Op::User { on: false } => "user off".into(),
            Op::Privilege { privilege: Privilege::Kernel } => "enter the kernel".into(),
            Op::Privilege { privilege: Privilege::User } => "leave for user code".into(),
            Op::Touch { page } => format!("touch page {page}"),
            Op::Reach { page } => format!("reach page {page}"),
            Op::ReachKernel { page } => format!("reach kernel page {page}"),
            Op::Insert { tag, page, value } => {
                format!("insert page {page}{} -> {}", tagged(tag), self.value_name(value as usize))
            }
            Op::Access { space, value } => {
                format!("use {} for {}", self.value_name(value as usize), space_name(space))
            }
            Op::Offline => "offline".into(),
            Op::Online => "online".into(),
            Op::FreeFrame { frame } => format!("free frame {frame}"),
            Op::Wrote { frame } => format!("frame {frame} is written"),
            Op::Discard { frame } => format!("discard frame {frame}"),
            Op::FreeTable { table } => format!("free table {table}"),
            Op::FreeRoot { space } => format!("free root {}", space_name(space)),
            Op::Revoke { value } => format!("revoke {}", self.value_name(value as usize)),
            Op::Unreachable { space, page } => format!("page {page} of {} gone", space_name(space)),
            Op::Mapped { space, page } => format!("page {page} of {} back", space_name(space)),
            Op::Teardown { space } => format!("mappings of {} die", space_name(space)),
        }
    }

    /// `f1` for frame 1, `f1w` where value tells writable from not.
    pub(crate) fn value_name(&self, value: usize) -> String {
        let Some(meant) = value.checked_sub(1).and_then(|n| self.config.translations.get(n)) else {
            return format!("value {value}");
        };
        let alone = self.leading_to[meant.frame].count_ones() == 1;
        let mode = if alone {
            ""
        } else if meant.writable {
            "w"
        } else {
            "r"
        };
        format!("f{}{mode}", meant.frame)
    }

    pub(crate) fn show_local(&self, cpu: usize, local: &Local) -> String {
        let mut line = format!("CPU{cpu}");
        if !local.is(ONLINE) {
            line += " offline";
        }
        if local.privilege() == Privilege::User {
            line += " user code";
        }
        if let Some(space) = local.space() {
            line += &format!(" root={}", space_name(space));
            if self.config.tags > 1 {
                line += &format!(" tag={}", local.tag);
            }
            line += if local.is(USER) { " user" } else { " lazy" };
        }
        for tag in 0..MAX_TAGS {
            let entries = self.show_entries("p", &local.tlb[tag]);
            let tables: Vec<String> = (0..MAX_ENTRIES * 8)
                .filter(|bit| local.walk[tag] >> bit & 1 != 0)
                .map(|bit| format!("t{}", bit % 8 + 1))
                .collect();
            let name = if self.config.tags == 1 { String::new() } else { tag.to_string() };
            if !entries.is_empty() {
                line += &format!(" tlb{name}{{{entries}}}");
            }
            if !tables.is_empty() {
                line += &format!(" walk{name}{{{}}}", tables.join(" "));
            }
        }
        if local.in_flight != 0 {
            let names = self.set_names(local.in_flight);
            line += &format!(" in flight{{{names}}}");
        }
        let entries = self.show_entries("k", &local.kernel);
        if !entries.is_empty() {
            line += &format!(" kernel{{{entries}}}");
        }
        let guests = self.show_entries("g", &local.second_stage);
        if !guests.is_empty() {
            line += &format!(" second stage{{{guests}}}");
        }
        for (piece, versions) in local.fetched.iter().enumerate().filter(|fetched| *fetched.1 != 0) {
            let versions: Vec<String> =
                (1..8).filter(|v| versions >> v & 1 != 0).map(|v| v.to_string()).collect();
            line += &format!(" code{piece}{{{}}}", versions.join("|"));
        }
        if local.kernel_walk {
            line += &format!(" kernel walk{{t{}}}", self.tables.kernel_table());
        }
        line
    }

    fn show_entries(&self, prefix: &str, sets: &[u16]) -> String {
        let of_page = |(page, set): (usize, &u16)| format!("{prefix}{page}:{}", self.set_names(*set));
        let shown: Vec<String> = sets.iter().enumerate().filter(|e| *e.1 != 0).map(of_page).collect();
        shown.join(" ")
    }

    fn set_names(&self, set: u16) -> String {
        let nothing = (set & ABSENT != 0).then(|| "absent".to_owned());
        let values = (1..16).filter(|v| set >> v & 1 != 0).map(|v| self.value_name(v));
        let names: Vec<String> = nothing.into_iter().chain(values).collect();
        names.join("|")
    }
}

fn also(walk: WalkCache) -> &'static str {
    match walk {
        WalkCache::Keep => " (leaf only)",
        WalkCache::Drop => "",
    }
}
