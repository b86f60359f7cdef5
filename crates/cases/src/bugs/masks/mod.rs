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

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_bafb056c::BUG,
    linux_a665eec0::BUG,
    linux_dfaed3e1::BUG,
    linux_38cf307c::BUG,
    linux_d53c3dfb::BUG,
    linux_82dd33fd::BUG,
    linux_7899891c::BUG,
    linux_9f79991d::BUG,
    linux_abee7c49::BUG,
    linux_2ff6ddf1::BUG,
    linux_b956575b::BUG,
    linux_3ef938c3::BUG,
    linux_01b0f0ea::BUG,
    openbsd_9f1181d5::BUG,
    linux_ad0a6bad::BUG,
    linux_51500b71::BUG,
    linux_cdb8a3c3::BUG,
];
