//! Images that an engine saves, and a registry that keeps what it gets.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use flate2::read::MultiGzDecoder;

use super::*;
use crate::engine::Image;
use crate::engine::fake::Fake;
use crate::event::Memory;
use crate::fault::{Explained as _, Trouble};
use crate::layers::{Compression, Shelf};
use crate::reference::ImageTag;
use crate::registry::{Artifact, Attached, Layers, Manifest, Referrer, Registry, RegistryError};

mod stored;

/// A registry in memory.
#[derive(Default)]
struct Depot {
    /// What each repository has, by digest.
    blobs: Mutex<BTreeMap<String, BTreeMap<Digest, Vec<u8>>>>,
    images: Mutex<Vec<Assembled>>,
    calls: Mutex<Vec<String>>,
    /// How many layers arrive before one breaks off; all, if `None`.
    breaks: Mutex<Option<usize>>,
}

impl Depot {
    fn call(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    /// The calls since this was last asked that begin with `word`.
    fn calls(&self, word: &str) -> usize {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        calls.iter().filter(|call| call.starts_with(word)).count()
    }

    /// The content of the layers of the image that came last.
    fn content(&self, repository: &str) -> Vec<Vec<u8>> {
        let images = self.images.lock().unwrap();
        let blobs = self.blobs.lock().unwrap();
        let layers = images.last().unwrap().layers.iter();
        let unpacked = layers.map(|layer| {
            let mut content = Vec::new();
            let packed = &blobs[repository][&layer.digest];
            assert_eq!(packed.len() as u64, layer.size);
            MultiGzDecoder::new(packed.as_slice())
                .read_to_end(&mut content)
                .unwrap();
            content
        });
        unpacked.collect()
    }
}

#[async_trait]
impl Layers for Depot {
    async fn has(&self, image: &ImageReference, digest: &Digest) -> Result<bool, RegistryError> {
        let blobs = self.blobs.lock().unwrap();
        let repository = blobs.get(image.repository());
        Ok(repository.is_some_and(|repository| repository.contains_key(digest)))
    }

    async fn mount(&self, image: &ImageReference, digest: &Digest, from: &str) -> Result<bool, RegistryError> {
        self.call(format!("mount {from}"));
        let from: ImageReference = from.parse().unwrap();
        let mut blobs = self.blobs.lock().unwrap();
        let found = blobs
            .get(from.repository())
            .and_then(|blobs| blobs.get(digest))
            .cloned();
        let Some(found) = found.filter(|_| from.registry() == image.registry()) else {
            return Ok(false);
        };
        let repository = blobs.entry(image.repository().to_owned()).or_default();
        repository.insert(digest.clone(), found);
        Ok(true)
    }

    async fn send(&self, image: &ImageReference, blob: &Blob, sent: &watch::Sender<u64>) -> Result<(), RegistryError> {
        self.call(format!("send {}", blob.packed.digest));
        if let Some(left) = self.breaks.lock().unwrap().as_mut() {
            if *left == 0 {
                return Err(RegistryError {
                    image: image.to_string(),
                    reason: "connection reset".to_owned(),
                    trouble: Trouble::Lost,
                });
            }
            *left -= 1;
        }
        let mut bytes = vec![0; usize::try_from(blob.packed.size).unwrap()];
        blob.file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!(Digest::of(&bytes), blob.packed.digest);
        sent.send_replace(blob.packed.size);
        let mut blobs = self.blobs.lock().unwrap();
        let repository = blobs.entry(image.repository().to_owned()).or_default();
        repository.insert(blob.packed.digest.clone(), bytes);
        Ok(())
    }

    async fn assemble(&self, _: &ImageReference, assembled: &Assembled) -> Result<Digest, RegistryError> {
        self.images.lock().unwrap().push(assembled.clone());
        Ok(Digest::of(b"manifest"))
    }
}

#[async_trait]
impl Registry for Depot {
    async fn manifest(&self, _: &ImageReference) -> Result<Option<Manifest>, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn tag(&self, _: &ImageReference, _: &str) -> Result<Option<Digest>, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn copy(&self, _: &ImageReference, _: &ImageTag) -> Result<Digest, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn referrers(&self, _: &ImageReference, _: Option<&str>) -> Result<Vec<Referrer>, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn attach(&self, _: &ImageReference, _: &Artifact) -> Result<Attached, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn put(&self, _: &ImageReference, _: &Artifact) -> Result<Digest, RegistryError> {
        unreachable!("layers are sent")
    }

    async fn artifact(&self, _: &ImageReference) -> Result<Option<Artifact>, RegistryError> {
        unreachable!("layers are sent")
    }
}

/// An archive of files by their names.
fn archive(files: &[(String, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, *content).unwrap();
    }
    archive.into_inner().unwrap()
}

struct Case {
    engine: Fake,
    registry: Depot,
    events: Memory,
    packing: Packing,
    agent: PathBuf,
    directory: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self {
            engine: Fake::new(),
            registry: Depot::default(),
            events: Memory::default(),
            packing: Packing {
                compression: Compression::Gzip,
                shelf: Shelf::at(directory.path().join("layers")),
            },
            agent: std::env::current_exe().unwrap(),
            directory,
        }
    }

    /// Has the engine keep an image with these layers, and save it with this configuration.
    fn image(&self, layers: &[&[u8]], configuration: &[u8]) -> Digest {
        let layers_of = layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>();
        let id = Digest::of(format!("{layers_of:?}").as_bytes());
        // The engine's own order has nothing to do with that of the layers.
        let saved = layers.iter().enumerate().rev();
        let mut files = saved
            .map(|(index, layer)| (format!("{index}/layer.tar"), *layer))
            .collect::<Vec<_>>();
        files.push((format!("{}.json", id.hex()), configuration));
        self.engine.hold(Image {
            id: id.clone(),
            created: None,
            labels: BTreeMap::new(),
            layers: layers_of,
            user: String::new(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            variables: BTreeMap::new(),
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            size: 0,
        });
        self.engine.script_export(&id, archive(&files));
        id
    }

    /// Has the engine keep an image with these layers. Its configuration names it.
    fn saved(&self, layers: &[&[u8]]) -> Digest {
        let layers_of = layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>();
        self.image(layers, format!("{layers_of:?}").as_bytes())
    }

    async fn ship(&self, id: &Digest, repository: &str) -> Result<Option<Digest>, PublishError> {
        let target = ImageTag {
            repository: repository.to_owned(),
            tag: "1".to_owned(),
        };
        let shipment = Shipment {
            id,
            target: &target,
            credentials: None,
            packing: Some(&self.packing),
            agent: &self.agent,
            pauses: &[Duration::ZERO],
        };
        ship(&shipment, &self.engine, &self.registry, &self.events).await
    }

    /// How often the engine has saved an image.
    fn exports(&self) -> usize {
        let calls = self.engine.calls();
        calls.iter().filter(|call| call.starts_with("export ")).count()
    }

    fn damage_all(&self) {
        for entry in std::fs::read_dir(self.directory.path().join("layers/blobs")).unwrap() {
            std::fs::write(entry.unwrap().path(), "damaged").unwrap();
        }
    }
}

#[tokio::test]
async fn what_arrives_is_the_configuration_to_the_byte_and_each_layer_in_its_place() {
    let case = Case::new();
    let id = case.saved(&[b"one", b"another", b"one"]);
    let shipped = case.ship(&id, "r.example/m").await.unwrap();
    assert_eq!(shipped, Some(Digest::of(b"manifest")));
    let configuration = case.registry.images.lock().unwrap()[0].configuration.clone();
    assert_eq!(Digest::of(&configuration), id);
    let content: [&[u8]; 3] = [b"one", b"another", b"one"];
    assert_eq!(case.registry.content("m"), content);
    assert_eq!(case.registry.calls("send"), 2, "equal layers are one");
    let pushed = case.events.events().into_iter().filter_map(|event| match event {
        Event::PushProgress {
            layer,
            status,
            sent,
            total,
        } if status == "Pushed" => {
            assert_eq!(sent, total);
            Some(layer)
        }
        _ => None,
    });
    let mut pushed = pushed.collect::<Vec<_>>();
    pushed.sort();
    let mut layers = [b"one".as_slice(), b"another"].map(|layer| Digest::of(layer).short().to_owned());
    layers.sort();
    assert_eq!(pushed, layers);
}

#[tokio::test]
async fn what_the_repository_has_is_neither_saved_nor_sent_again_and_another_repository_gets_it_mounted() {
    let case = Case::new();
    let id = case.saved(&[b"one", b"another"]);
    for (repository, sent, mounted) in [("r.example/a", 2, 0), ("r.example/a", 0, 0), ("r.example/b", 0, 2)] {
        case.ship(&id, repository).await.unwrap().unwrap();
        let calls = std::mem::take(&mut *case.registry.calls.lock().unwrap());
        let count = |word: &str| calls.iter().filter(|call| call.starts_with(word)).count();
        assert_eq!((count("send"), count("mount")), (sent, mounted), "{repository}");
    }
    assert_eq!(case.exports(), 1);
    // Another registry gets what is kept here.
    case.ship(&id, "elsewhere.example/c").await.unwrap().unwrap();
    assert_eq!((case.registry.calls("send"), case.exports()), (2, 1));
}

#[tokio::test]
async fn a_new_layer_is_compressed_and_those_that_are_known_are_not() {
    let case = Case::new();
    let known = vec![7; 5 << 20];
    let first = case.saved(&[&known]);
    case.ship(&first, "r.example/m").await.unwrap().unwrap();
    // The archive has the known one first.
    let second = case.saved(&[b"new", &known]);
    let before = case.events.events().len();
    case.ship(&second, "r.example/m").await.unwrap().unwrap();
    let compressed = case.events.events()[before..].iter().any(
        |event| matches!(event, Event::PushProgress { status, total, .. } if status.starts_with("Compress") && *total > 100),
    );
    assert!(!compressed, "the known layer is read past");
    assert_eq!(case.registry.content("m"), [b"new", known.as_slice()]);
}

#[tokio::test]
async fn a_layer_as_long_as_a_known_one_is_found_by_a_second_look() {
    let case = Case::new();
    let [one, two] = [7, 8].map(|byte| vec![byte; 5 << 20]);
    let first = case.saved(&[&one]);
    case.ship(&first, "r.example/m").await.unwrap().unwrap();
    let second = case.saved(&[&one, &two]);
    case.ship(&second, "r.example/m").await.unwrap().unwrap();
    assert_eq!(case.registry.content("m"), [one, two]);
    assert_eq!(case.exports(), 3);
}

#[tokio::test]
async fn a_damaged_layer_is_made_again_before_anything_of_it_is_sent() {
    let case = Case::new();
    let id = case.saved(&[b"one", b"another"]);
    case.ship(&id, "r.example/m").await.unwrap().unwrap();
    case.damage_all();
    case.ship(&id, "elsewhere.example/c").await.unwrap().unwrap();
    assert_eq!(case.exports(), 2);
    let content: [&[u8]; 2] = [b"one", b"another"];
    assert_eq!(case.registry.content("c"), content);
}

#[tokio::test]
async fn a_push_that_broke_may_be_tried_again_and_compresses_nothing_twice() {
    let case = Case::new();
    let id = case.saved(&[b"one"]);
    *case.registry.breaks.lock().unwrap() = Some(0);
    let broken = case.ship(&id, "r.example/m").await.unwrap_err();
    assert!(broken.is_temporary(), "{broken}");
    assert!(
        case.registry.images.lock().unwrap().is_empty(),
        "nothing names what is not whole"
    );
    *case.registry.breaks.lock().unwrap() = None;
    case.ship(&id, "r.example/m").await.unwrap().unwrap();
    let known = case.packing.shelf.known(&Digest::of(b"one"), Compression::Gzip);
    assert_eq!(known.unwrap().repositories, ["r.example/m"]);
}

#[tokio::test]
async fn what_is_saved_in_a_form_that_nobody_knows_is_left_to_the_engine() {
    let case = Case::new();
    let altered = case.image(&[b"one"], b"not the configuration");
    assert_eq!(case.ship(&altered, "r.example/m").await.unwrap(), None);
    let id = case.saved(&[b"one", b"another"]);
    let incomplete = case.saved(&[b"one"]);
    let archive = tar::Builder::new(Vec::new()).into_inner().unwrap();
    case.engine.script_export(&incomplete, archive);
    assert_eq!(case.ship(&incomplete, "r.example/n").await.unwrap(), None);
    assert!(case.ship(&id, "r.example/m").await.unwrap().is_some());
    assert_eq!(case.registry.images.lock().unwrap().len(), 1);
}
