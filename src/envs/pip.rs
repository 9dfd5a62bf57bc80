//! Pip packages: installed, and found in an index.

mod archive;
pub(super) mod index;
pub(super) mod installer;
pub(super) mod overridden;
