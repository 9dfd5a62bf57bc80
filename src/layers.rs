//! Layers as registries take them: compressed once, the same bytes on every machine, and kept by their digest.
//!
//! [`unpacked`] reads what an engine saves of an image and has each layer that is wanted compressed, and [`Shelf::pack`] one that
//! comes by itself; a [`Shelf`] keeps them, and knows which repositories have taken them. [`stored`] reads layers where an engine
//! keeps them.

mod archive;
mod blocks;
mod compression;
mod packing;
mod shelf;
mod store;

use serde::{Deserialize, Serialize};

pub use self::archive::{Told, Wanted, unpacked};
pub use self::compression::Compression;
pub use self::shelf::{Known, Shelf};
pub use self::store::stored;
use crate::reference::Digest;

/// How layers are compressed, and where that is kept.
#[derive(Debug, Clone)]
pub struct Packing {
    /// How they are compressed.
    pub compression: Compression,
    /// Where they are kept.
    pub shelf: Shelf,
}

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
