//! Reads what an engine saves of an image (`docker save`), and has its layers compressed on the way.
//!
//! An archive may be that of Docker before version 25 (`<some ID>/layer.tar`, `<hex>.json`), that of an OCI layout
//! (`blobs/sha256/<hex>`) or that of Podman (`<hex>.tar`). What its own list of them says comes last, and is not needed: a
//! layer is told by the digest of its content, and so is the configuration.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use super::packing::packed;
use super::{Compression, Known, Shelf};
use crate::reference::Digest;
use crate::state::FileError;

/// Smaller layers are compressed even where they look known: that takes no time.
const LITTLE: u64 = 4 << 20;

/// No configuration is longer, in bytes.
const LONGEST_CONFIGURATION: u64 = 16 << 20;

/// What is wanted of an archive.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The digest of the configuration.
    pub configuration: Digest,
    /// The layers that are to be compressed, by the digests of their content.
    pub layers: BTreeSet<Digest>,
    /// How long layers are that are not: where the archive does not say which layer a file is, one of that length is taken for
    /// one of these.
    pub lengths: BTreeSet<u64>,
    /// How.
    pub compression: Compression,
}

/// What is told while an archive is read.
#[derive(Debug)]
pub enum Told {
    /// A layer is being compressed.
    Compressing {
        /// What it is called in the archive.
        name: String,
        /// How many of its bytes have been.
        done: u64,
        /// How many there are.
        total: u64,
    },
    /// A layer that was wanted lies on the shelf.
    Layer(Digest, Known),
    /// The configuration.
    Configuration(Vec<u8>),
}

/// Reads an archive to its end. What it has of what is wanted is told; what it has not is not.
pub fn unpacked(
    archive: impl Read,
    wanted: &Wanted,
    shelf: &Shelf,
    mut told: impl FnMut(Told),
) -> Result<(), FileError> {
    let failed = FileError::of(Path::new("the archive of the image"));
    let mut left = wanted.layers.clone();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries().map_err(&failed)? {
        let mut entry = entry.map_err(&failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(&failed)?.into_owned();
        let named = named(&path);
        if named.as_ref() == Some(&wanted.configuration) && entry.size() < LONGEST_CONFIGURATION {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(&failed)?;
            if Digest::of(&bytes) == wanted.configuration {
                shelf.keep_content(&bytes)?;
                told(Told::Configuration(bytes));
            }
            continue;
        }
        let size = entry.size();
        let is_wanted = match &named {
            Some(layer) => left.contains(layer),
            None => is_layer(&path) && (size < LITTLE || !wanted.lengths.contains(&size)) && !left.is_empty(),
        };
        if !is_wanted {
            continue;
        }
        let name = short(&path);
        let step = |done| Told::Compressing {
            name: name.clone(),
            done,
            total: size,
        };
        let packed = packed(&mut entry, wanted.compression, shelf, |done| told(step(done)))?;
        if left.remove(&packed.layer) {
            let (layer, known) = packed.keep(shelf)?;
            told(Told::Layer(layer, known));
        }
    }
    Ok(())
}

/// The digest that a file of the archive is named by.
fn named(path: &Path) -> Option<Digest> {
    format!("sha256:{}", path.file_stem()?.to_str()?).parse().ok()
}

/// Whether a file that no digest names is a layer.
fn is_layer(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "layer.tar")
}

/// What people see of a layer's name: as much of its hexadecimal digits as of a digest.
fn short(path: &Path) -> String {
    let name = if is_layer(path) {
        path.parent()
    } else {
        path.file_stem().map(Path::new)
    };
    let name = name.unwrap_or(path).display().to_string();
    name.chars().take(Digest::SHORT).collect()
}
