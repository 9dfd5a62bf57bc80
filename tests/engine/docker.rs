//! The engine itself, through floe's edge to it.

mod bench;
mod build;
mod container;
