//! Layers as registries take them: compressed once, the same bytes on every machine, and kept by their digest.
//!
//! [`unpacked`] reads what an engine saves of an image and has each layer that is wanted compressed; a [`Shelf`] keeps them,
//! and knows which repositories have taken them.

mod archive;
mod blocks;
mod compression;
mod shelf;

use serde::{Deserialize, Serialize};

pub use self::archive::{Told, Wanted, unpacked};
pub use self::compression::Compression;
pub use self::shelf::{Known, Shelf};
use crate::reference::Digest;

/// A layer as it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packed {
    /// The digest of its bytes, compressed.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
}

#[cfg(test)]
mod tests;
