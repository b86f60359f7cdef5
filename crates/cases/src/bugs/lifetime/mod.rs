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

use crate::bugs::{Bug, bugs};

pub(super) const ALL: &[Bug] = bugs![
    linux_cb185d5f,
    linux_6db504ce,
    linux_f798a1d4,
    linux_d8e27d2d,
    linux_cbd23144,
    linux_61dc9f77,
    linux_2f41af63,
    linux_9a9ab0d9,
    linux_cf234231,
    linux_ec8d7c14,
    linux_7283094e,
    linux_04f5866e,
    linux_985da552,
    linux_1367da7e,
    linux_64c37e13,
    linux_35e35178,
    linux_4f6fc782,
    linux_c392cbec,
];
