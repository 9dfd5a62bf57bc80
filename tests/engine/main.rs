//! The real engine. These tests need Docker, and fail without it.

mod bench;
mod build;
mod container;
#[path = "../registry/mod.rs"]
mod registry;
mod rootfs;
