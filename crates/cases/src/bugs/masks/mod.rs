//! CPU masks, borrowing and lazy TLB (class A).

mod linux_01b0f0ea;
mod linux_2ff6ddf1;
mod linux_38cf307c;
mod linux_3ef938c3;
mod linux_51500b71;
mod linux_7899891c;
mod linux_82dd33fd;
mod linux_9f79991d;
mod linux_a665eec0;
mod linux_abee7c49;
mod linux_ad0a6bad;
mod linux_b956575b;
mod linux_bafb056c;
mod linux_cdb8a3c3;
mod linux_d53c3dfb;
mod linux_dfaed3e1;
mod openbsd_9f1181d5;

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_bafb056c,
    linux_a665eec0,
    linux_dfaed3e1,
    linux_38cf307c,
    linux_d53c3dfb,
    linux_82dd33fd,
    linux_7899891c,
    linux_9f79991d,
    linux_abee7c49,
    linux_2ff6ddf1,
    linux_b956575b,
    linux_3ef938c3,
    linux_01b0f0ea,
    openbsd_9f1181d5,
    linux_ad0a6bad,
    linux_51500b71,
    linux_cdb8a3c3,
];
