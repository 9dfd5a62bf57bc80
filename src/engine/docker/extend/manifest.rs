//! The layers of an image at an engine that keeps them as registries have them. Its API names them only by their content; what
//! it saves of the image holds the manifest.

use std::collections::HashMap;
use std::io::{self, Read as _};

use serde::Deserialize;
use serde_json::Value;

use crate::engine::docker::{Docker, export};
use crate::engine::{EngineError, Images as _, Pieces};
use crate::fault::Trouble;
use crate::reference::Digest;

/// What Docker's own names for layers begin with, and OCI's.
const OF_DOCKER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const OF_OCI: &str = "application/vnd.oci.image.layer.v1.tar";

/// No manifest is longer, in bytes.
const LONGEST: u64 = 4 << 20;

/// What names other manifests, and what names layers.
#[derive(Deserialize)]
struct Manifest {
    /// Those of an index.
    #[serde(default)]
    manifests: Vec<Named>,
    layers: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct Named {
    digest: String,
}

/// How the manifest of `image` names its layers, the lowest first.
pub(super) async fn layers_of(docker: &Docker, image: &Digest) -> Result<Vec<Value>, EngineError> {
    let failed = |reason: String, trouble| EngineError::Request {
        action: format!("read the manifest of {image}"),
        reason,
        trouble,
    };
    let found = docker.image(image.as_str()).await?;
    let found = found.ok_or_else(|| failed("the image has been removed".to_owned(), Trouble::Vanished))?;
    let (id, layers) = (image.clone(), found.layers.len());
    let archive = export::save(docker, image).await?;
    let read = Pieces::of(archive, move |archive| read(archive, &id, layers)).await?;
    read.map_err(|error| failed(error.to_string(), Trouble::Foreign))?
        .ok_or_else(|| failed(format!("the engine saves none of {layers} layers"), Trouble::Foreign))
}

/// Reads an archive of an OCI layout until it has the manifest. Of an index, that is the one with so many `layers`.
fn read(archive: impl io::Read, image: &Digest, layers: usize) -> io::Result<Option<Vec<Value>>> {
    let mut manifests = HashMap::new();
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.size() > LONGEST {
            continue;
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else {
            continue;
        };
        manifests.insert(Digest::of(&bytes), manifest);
        // An index may come before or after what it names.
        if let Some(found) = found(&manifests, image, layers) {
            return Ok(Some(found.iter().map(as_oci).collect()));
        }
    }
    Ok(None)
}

/// A layer by the name that OCI has for what it is. By Docker's, one that is compressed by zstd is none to containerd.
fn as_oci(layer: &Value) -> Value {
    let mut layer = layer.clone();
    let form = layer["mediaType"]
        .as_str()
        .and_then(|name| name.strip_prefix(OF_DOCKER));
    let named = form.map(|form| format!("{OF_OCI}{}", form.replace('.', "+")));
    if let Some(named) = named {
        layer["mediaType"] = named.into();
    }
    layer
}

fn found<'a>(manifests: &'a HashMap<Digest, Manifest>, name: &Digest, layers: usize) -> Option<&'a Vec<Value>> {
    let manifest = manifests.get(name)?;
    let own = manifest.layers.as_ref().filter(|own| own.len() == layers);
    own.or_else(|| {
        let mut names = manifest.manifests.iter().filter_map(|named| named.digest.parse().ok());
        names.find_map(|below: Digest| found(manifests, &below, layers))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// An archive with these files, and what they are named by.
    fn archive(files: &[Vec<u8>]) -> Vec<u8> {
        let mut archive = tar::Builder::new(Vec::new());
        for file in files {
            let digest = Digest::of(file);
            let path = format!("blobs/sha256/{}", digest.hex());
            let mut header = tar::Header::new_gnu();
            header.set_size(file.len() as u64);
            archive.append_data(&mut header, path, file.as_slice()).unwrap();
        }
        archive.into_inner().unwrap()
    }

    #[test]
    fn the_layers_are_those_of_the_manifest_wherever_in_the_archive_it_and_its_index_are() {
        let layers = json!([{"digest": "a"}, {"digest": "b"}]);
        let manifest = json!({"config": {}, "layers": layers}).to_string().into_bytes();
        let attestation = json!({"layers": [{}]}).to_string().into_bytes();
        let names = [&attestation, &manifest].map(|file| json!({"digest": Digest::of(file)}));
        let index = json!({"manifests": names}).to_string().into_bytes();
        let layer = b"a layer".to_vec();
        let other = json!({"layers": [{}, {}]}).to_string().into_bytes();
        let id = Digest::of(&index);
        for files in [[&index, &manifest], [&manifest, &index]] {
            let all = [&layer, &other, files[0], &attestation, files[1]].map(Clone::clone);
            let read = read(archive(&all).as_slice(), &id, 2).unwrap();
            assert_eq!(Value::from(read.unwrap()), layers);
        }
        let alone = [other.clone(), manifest.clone()];
        let found = read(archive(&alone).as_slice(), &Digest::of(&manifest), 2).unwrap();
        assert_eq!(Value::from(found.unwrap()), layers);
        assert_eq!(read(archive(&[index, other]).as_slice(), &id, 2).unwrap(), None);
    }

    #[test]
    fn layers_are_called_as_oci_does_whoever_made_them() {
        for (theirs, ours) in [
            (
                "application/vnd.docker.image.rootfs.diff.tar.gzip",
                "application/vnd.oci.image.layer.v1.tar+gzip",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar.zstd",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
            (
                "application/vnd.docker.image.rootfs.diff.tar",
                "application/vnd.oci.image.layer.v1.tar",
            ),
            (
                "application/vnd.oci.image.layer.v1.tar+zstd",
                "application/vnd.oci.image.layer.v1.tar+zstd",
            ),
        ] {
            let manifest = json!({"layers": [{"mediaType": theirs, "size": 1}]})
                .to_string()
                .into_bytes();
            let read = read(
                archive(std::slice::from_ref(&manifest)).as_slice(),
                &Digest::of(&manifest),
                1,
            )
            .unwrap();
            assert_eq!(read.unwrap(), [json!({"mediaType": ours, "size": 1})]);
        }
    }

    #[test]
    fn an_archive_is_read_no_further_than_its_manifest() {
        let manifest = json!({"layers": [{}]}).to_string().into_bytes();
        let mut bytes = archive(std::slice::from_ref(&manifest));
        bytes.truncate(1024);
        bytes.extend([0xff; 512]);
        assert!(read(bytes.as_slice(), &Digest::of(&manifest), 1).unwrap().is_some());
    }
}
