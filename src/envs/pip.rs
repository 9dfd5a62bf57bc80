//! Pip packages: installed, and found in an index.

mod answer;
pub(super) mod archive;
mod blame;
pub(super) mod index;
pub(super) mod installer;
pub(super) mod list;
pub(super) mod overridden;
