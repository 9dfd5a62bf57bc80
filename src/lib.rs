//! floe turns the definition of a JupyterHub user image into a tested, frozen, pushed container image.
//!
//! ARCHITECTURE.md holds the map: which module does what, and which may import which.

pub mod compose;
pub mod config;
pub mod context;
pub mod event;
pub mod plan;
pub mod reference;
pub mod spec;
