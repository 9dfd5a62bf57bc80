//! The engine itself, through floe's edge to it.

pub mod bench;
mod build;
mod container;
