//! Where on the web a commit, a pull request, a mail or an advisory is, of those that headers name.

use maud::{Markup, html};

/// Kernels, and the repository that their hashes and numbers of requests are of.
const REPOSITORIES: [(&str, &str); 32] = [
    ("ACRN", "https://github.com/projectacrn/acrn-hypervisor"),
    ("Asterinas", "https://github.com/asterinas/asterinas"),
    ("Bao", "https://github.com/bao-project/bao-hypervisor"),
    ("Bareflank MicroV", "https://github.com/Bareflank/MicroV"),
    ("Coconut SVSM", "https://github.com/coconut-svsm/svsm"),
    ("FreeBSD", "https://cgit.freebsd.org/src"),
    ("Haiku", "https://github.com/haiku/haiku"),
    ("HermitCore", "https://github.com/hermit-os/libhermit"),
    ("Hyperlight", "https://github.com/hyperlight-dev/hyperlight"),
    ("L4Re Fiasco", "https://github.com/kernkonzept/fiasco"),
    ("Linux", "https://git.kernel.org/linus"),
    ("LiteBox", "https://github.com/microsoft/litebox"),
    ("Maestro", "https://github.com/maestro-os/maestro"),
    ("Managarm", "https://github.com/managarm/managarm"),
    ("Mushroom", "https://github.com/Freax13/mushroom"),
    ("NEMU", "https://github.com/OpenXiangShan/NEMU"),
    ("NRK", "https://github.com/vmware-labs/node-replicated-kernel"),
    ("Nanos", "https://github.com/nanovms/nanos"),
    ("Nanvix", "https://github.com/nanvix/nanvix"),
    ("OpenBSD", "https://github.com/openbsd/src"),
    ("Quark", "https://github.com/QuarkContainer/Quark"),
    ("Redox", "https://gitlab.redox-os.org/redox-os/kernel/-"),
    ("SerenityOS", "https://github.com/SerenityOS/serenity"),
    ("StarryOS", "https://github.com/rcore-os/tgoskits"),
    ("TGOSKits", "https://github.com/rcore-os/tgoskits"),
    ("Xen", "https://github.com/xen-project/xen"),
    ("XiangShan", "https://github.com/OpenXiangShan/XiangShan"),
    ("Zephyr", "https://github.com/zephyrproject-rtos/zephyr"),
    ("illumos", "https://github.com/richlowe/illumos-gate"),
    ("pKVM-IA", "https://github.com/intel-staging/pKVM-IA"),
    ("seL4", "https://github.com/seL4/seL4"),
    ("tlib (Renode)", "https://github.com/antmicro/tlib"),
];

/// Renders `text`, which tells of `kernel`, with a link at each commit, request, revision, mail and advisory.
pub fn render(text: &str, kernel: &str) -> Markup {
    let (mut before, mut kind) = ("", "");
    html! {
        @for word in text.split_inclusive([' ', ',', '(', ')']) {
            @let bare = word.trim_end_matches([' ', ',', '(', ')']);
            @match address(kind, bare, kernel).filter(|_| before != "once") {
                Some(address) => { a href=(address) { (bare) } (word[bare.len()..]) }
                None => (word),
            }
            @let () = (before, kind) = (bare, if bare.is_empty() { kind } else { bare });
        }
    }
}

/// The address of what `word` names, where it follows the word `kind`.
fn address(kind: &str, word: &str, kernel: &str) -> Option<String> {
    let number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if word.starts_with("CVE-") {
        return Some(format!("https://www.cve.org/CVERecord?id={word}"));
    }
    if let Some(advisory) = word.strip_prefix("XSA-").filter(|rest| number(rest)) {
        return Some(format!("https://xenbits.xen.org/xsa/advisory-{advisory}.html"));
    }
    if word.starts_with("FreeBSD-EN-") {
        return Some(format!("https://www.freebsd.org/security/advisories/{word}.asc"));
    }
    if word.contains('@') && kernel.starts_with("Linux") {
        return Some(format!("https://lore.kernel.org/all/{word}/"));
    }
    if let Some(revision) = word.strip_prefix('r').filter(|rest| number(rest) && kernel == "FreeBSD") {
        return Some(format!("https://svnweb.freebsd.org/changeset/base/{revision}"));
    }
    let (_, repository) = REPOSITORIES.iter().find(|(name, _)| *name == kernel)?;
    match kind {
        "PR" if number(word) && kernel == "FreeBSD" => {
            Some(format!("https://bugs.freebsd.org/bugzilla/show_bug.cgi?id={word}"))
        }
        "PR" if number(word) => Some(format!("{repository}/pull/{word}")),
        "issue" if number(word) => Some(format!("{repository}/issues/{word}")),
        _ if !is_hash(word) => None,
        _ if kernel == "Linux" => Some(format!("{repository}/{word}")),
        _ if kernel == "FreeBSD" => Some(format!("{repository}/commit/?id={word}")),
        _ => Some(format!("{repository}/commit/{word}")),
    }
}

/// Whether `word` is the abbreviated hash of a commit.
fn is_hash(word: &str) -> bool {
    (7..=40).contains(&word.len()) && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::render;
    use shootdown_cases::bugs::{Class, all};

    #[test]
    fn commits_requests_revisions_mails_and_advisories_lead_to_where_they_are() {
        let links = |text: &str, kernel: &str| {
            let html = render(text, kernel).into_string();
            let links = html.split("href=\"").skip(1).filter_map(|rest| rest.split_once('"'));
            let links = links.map(|(address, _)| address.to_owned()).collect::<Vec<_>>();
            (links, html)
        };
        for (text, kernel, expected) in [
            ("71b3c126e611", "Linux", &["https://git.kernel.org/linus/71b3c126e611"][..]),
            (
                "7c893abc4ee7, XSA-373 (CVE-2021-28692)",
                "Xen",
                &[
                    "https://github.com/xen-project/xen/commit/7c893abc4ee7",
                    "https://xenbits.xen.org/xsa/advisory-373.html",
                    "https://www.cve.org/CVERecord?id=CVE-2021-28692",
                ],
            ),
            (
                "PR 113562 (issue 113559)",
                "Zephyr",
                &[
                    "https://github.com/zephyrproject-rtos/zephyr/pull/113562",
                    "https://github.com/zephyrproject-rtos/zephyr/issues/113559",
                ],
            ),
            ("r312954", "FreeBSD", &["https://svnweb.freebsd.org/changeset/base/312954"]),
            (
                "579feaa64 in libhermit (once 37f47877)",
                "HermitCore",
                &["https://github.com/hermit-os/libhermit/commit/579feaa64"],
            ),
            ("4158d899", "Redox", &["https://gitlab.redox-os.org/redox-os/kernel/-/commit/4158d899"]),
            (
                "v4 25/30 (20250114175143.81438-26-vschneid@redhat.com), posted 2025-01-14",
                "Linux (patches, not merged)",
                &["https://lore.kernel.org/all/20250114175143.81438-26-vschneid@redhat.com/"],
            ),
            ("made up, 1234567, PR 7, 1-2@example.org", "Toy", &[]),
            ("read in Linux 6.19, arch/x86/mm/tlb.c", "Linux", &[]),
        ] {
            let (found, html) = links(text, kernel);
            assert_eq!(found, expected, "{html}");
        }
        let (_, html) = links("a <b> & 1234567", "Linux");
        assert!(html.contains("a &lt;b&gt; &amp; <a"), "{html}");
    }

    #[test]
    fn every_confirmed_bug_has_a_link() {
        for bug in all().filter(|bug| bug.class() != Class::Suspect) {
            let html = render(bug.source, bug.kernel).into_string();
            assert!(html.contains("<a href=\"https://"), "{}: {html}", bug.name);
        }
    }
}
