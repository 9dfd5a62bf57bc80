//! Layers where Docker's classic store keeps them: the files of a layer in a directory of the overlay, and beside the layer's name
//! what of its archive was no file's content (`tar-split`). The two together are the archive to the byte.
//!
//! The engine itself reads them in the same way when it saves an image. But it reads all layers of the image, and writes them to
//! a directory of its own before it sends the first.
//!
//! Nothing that is read here is believed: who reads the archives looks at their digests.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::Deserialize;

use crate::image::store::{self, DRIVER};
use crate::reference::Digest;
use crate::state::FileError;

/// Files up to so many bytes are written together with what lies around them.
const LITTLE: u64 = 64 * 1024;

/// No configuration is longer, in bytes.
const LONGEST_CONFIGURATION: u64 = 16 << 20;

/// The content of a file, in what the store keeps of an archive.
const FILE: u8 = 1;

/// Bytes that are no file's content.
const SEGMENT: u8 = 2;

/// What of an image's configuration says which layers it has.
#[derive(Deserialize)]
struct Configuration {
    rootfs: Rootfs,
}

#[derive(Deserialize)]
struct Rootfs {
    diff_ids: Vec<Digest>,
}

/// A part of a layer's archive.
#[derive(Deserialize)]
struct Part<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(borrow, default)]
    name: Cow<'a, str>,
    /// The name in base64, where it is no text.
    name_raw: Option<&'a str>,
    #[serde(default)]
    size: u64,
    /// In base64: the bytes of a segment; of a file, a sum that is of no use here.
    payload: Option<&'a str>,
}

/// Writes an archive of the configuration of `image` and those of its `layers` that are wanted, each named by its digest, from
/// the engine's directory `root`.
pub fn stored(root: &Path, image: &Digest, wanted: &BTreeSet<Digest>, out: impl Write) -> Result<(), FileError> {
    let images = root.join("image").join(DRIVER);
    let path = images.join("imagedb/content/sha256").join(image.hex());
    let configuration = small(&path)?;
    let layers = serde_json::from_slice::<Configuration>(&configuration)
        .map_err(|error| FileError::of(&path)(error.into()))?
        .rootfs
        .diff_ids;
    let failed = FileError::of(Path::new("the archive of the layers"));
    let mut out = tar::Builder::new(out);
    let mut header = header(configuration.len() as u64);
    out.append_data(&mut header, store::configuration(image), configuration.as_slice())
        .map_err(&failed)?;
    let mut written = BTreeSet::new();
    let mut chain: Option<Digest> = None;
    for layer in layers {
        let name = match &chain {
            Some(below) => Digest::of(format!("{below} {layer}").as_bytes()),
            None => layer.clone(),
        };
        if wanted.contains(&layer) && written.insert(layer.clone()) {
            Layer::find(root, &images, &name)?.write(&layer, &mut out)?;
        }
        chain = Some(name);
    }
    let mut out = out.into_inner().map_err(&failed)?;
    out.flush().map_err(&failed)
}

/// A layer in the store.
struct Layer {
    /// What is no file's content.
    parts: PathBuf,
    /// Where its files are.
    files: PathBuf,
}

impl Layer {
    /// The layer that is called so, by what lies below it, too.
    fn find(root: &Path, images: &Path, name: &Digest) -> Result<Self, FileError> {
        let about = images.join("layerdb/sha256").join(name.hex());
        let path = about.join("cache-id");
        let id = small(&path)?;
        let id = Path::new(OsStr::from_bytes(id.trim_ascii()));
        if !matches!(id.components().collect::<Vec<_>>()[..], [Component::Normal(_)]) {
            return Err(FileError::of(&path)(io::ErrorKind::InvalidData.into()));
        }
        Ok(Self {
            parts: about.join("tar-split.json.gz"),
            files: root.join(DRIVER).join(id).join("diff"),
        })
    }

    /// Writes its archive as a file of `out`.
    fn write(&self, layer: &Digest, out: &mut tar::Builder<impl Write>) -> Result<(), FileError> {
        let mut length = 0;
        self.each(|part| {
            length += part.length();
            Ok(())
        })?;
        let name = store::layer(layer);
        let failed = FileError::of(Path::new(&name));
        let mut header = header(length);
        header.set_path(&name).map_err(&failed)?;
        header.set_cksum();
        let out = out.get_mut();
        out.write_all(header.as_bytes()).map_err(&failed)?;
        let directory = File::open(&self.files).map_err(FileError::of(&self.files))?;
        let directory = OwnedFd::from(directory);
        let mut bytes = Vec::new();
        self.each(|part| match part.kind {
            SEGMENT => {
                bytes.clear();
                let text = part.payload.unwrap_or_default();
                STANDARD.decode_vec(text, &mut bytes).map_err(io::Error::other)?;
                out.write_all(&bytes)
            }
            FILE if part.size > 0 => content(&directory, &part, &mut bytes, out),
            _ => Ok(()),
        })?;
        let missing = length.next_multiple_of(512) - length;
        io::copy(&mut io::repeat(0).take(missing), out).map_err(&failed)?;
        Ok(())
    }

    /// Goes through the parts of its archive.
    fn each(&self, mut on: impl FnMut(Part<'_>) -> io::Result<()>) -> Result<(), FileError> {
        let failed = FileError::of(&self.parts);
        let file = File::open(&self.parts).map_err(&failed)?;
        let mut lines = BufReader::new(GzDecoder::new(BufReader::new(file)));
        let mut line = Vec::new();
        loop {
            line.clear();
            if lines.read_until(b'\n', &mut line).map_err(&failed)? == 0 {
                return Ok(());
            }
            let part = serde_json::from_slice(&line).map_err(|error| failed(error.into()))?;
            on(part).map_err(&failed)?;
        }
    }
}

impl Part<'_> {
    /// How many bytes of the archive it is.
    fn length(&self) -> u64 {
        match self.kind {
            SEGMENT => {
                let text = self.payload.unwrap_or_default();
                let data = text.trim_end_matches('=').len() as u64;
                data * 3 / 4
            }
            FILE => self.size,
            _ => 0,
        }
    }

    /// Where the file is, below the layer's directory.
    fn path(&self) -> io::Result<PathBuf> {
        let name = match self.name_raw {
            Some(raw) => Cow::Owned(STANDARD.decode(raw).map_err(io::Error::other)?),
            None => Cow::Borrowed(self.name.as_bytes()),
        };
        let name = Path::new(OsStr::from_bytes(&name));
        Ok(name
            .components()
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect())
    }
}

/// Writes the content of a file, which is one of the layer's own: no link leads to it.
fn content(directory: &OwnedFd, part: &Part<'_>, bytes: &mut Vec<u8>, out: &mut impl Write) -> io::Result<()> {
    let path = part.path()?;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat2(directory, &path, flags, Mode::empty(), within);
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = File::from(file.map_err(|error| named(error.into()))?).take(part.size);
    let written = if part.size <= LITTLE {
        bytes.clear();
        file.read_to_end(bytes)?;
        out.write_all(bytes)?;
        bytes.len() as u64
    } else {
        io::copy(&mut file, out)?
    };
    if written < part.size {
        return Err(named(io::ErrorKind::UnexpectedEof.into()));
    }
    Ok(())
}

fn header(bytes: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o644);
    header.set_size(bytes);
    header
}

/// Reads a file that cannot be large.
fn small(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = FileError::of(path);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(&failed)?;
    file.take(LONGEST_CONFIGURATION)
        .read_to_end(&mut bytes)
        .map_err(&failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
