//! Lifetime by reference counts (class E).

mod linux_04f5866e;
mod linux_1367da7e;
mod linux_2f41af63;
mod linux_35e35178;
mod linux_4f6fc782;
mod linux_61dc9f77;
mod linux_64c37e13;
mod linux_6db504ce;
mod linux_7283094e;
mod linux_985da552;
mod linux_9a9ab0d9;
mod linux_c392cbec;
mod linux_cb185d5f;
mod linux_cbd23144;
mod linux_cf234231;
mod linux_d8e27d2d;
mod linux_ec8d7c14;
mod linux_f798a1d4;

use crate::bugs::Bug;

pub(super) const ALL: &[Bug] = &[
    linux_cb185d5f::BUG,
    linux_6db504ce::BUG,
    linux_f798a1d4::BUG,
    linux_d8e27d2d::BUG,
    linux_cbd23144::BUG,
    linux_61dc9f77::BUG,
    linux_2f41af63::BUG,
    linux_9a9ab0d9::BUG,
    linux_cf234231::BUG,
    linux_ec8d7c14::BUG,
    linux_7283094e::BUG,
    linux_04f5866e::BUG,
    linux_985da552::BUG,
    linux_1367da7e::BUG,
    linux_64c37e13::BUG,
    linux_35e35178::BUG,
    linux_4f6fc782::BUG,
    linux_c392cbec::BUG,
];
