//! floe's own push: the layers that the registry lacks are compressed once, by all processors, while the engine still saves
//! the image, and sent while the next ones are compressed.
//!
//! What that is worth was measured with Docker 20.10 on two processors that had other work, too: 3.9 GB arrive in 64 s, with
//! zstd in 47 s, and by the engine's own push in 73 to 97 s (docs/benchmarks.md). To save an image is most of that: of 2.7 GB the
//! first byte comes after 13 s and 20 s of processors' time, the last after 19 s, whatever of it is wanted. An engine that has
//! pushed all but a little of an image itself reads that alone; but it knows nothing of what floe has sent, and would compress
//! all of it again. So people say which of them pushes (`LAYER_COMPRESSION`), and stay with it. What the engine had better push
//! in any case it does not save (`Images::export` says what that is).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::UnboundedReceiverStream;

use super::{PublishError, Shipment};
use crate::engine::{Export, Images, Pieces};
use crate::event::{Event, Sink};
use crate::layers::{Known, Packed, Packing, Told, Wanted, unpacked};
use crate::reference::{Digest, ImageReference};
use crate::registry::{Assembled, Blob, Destination};

/// How many layers are asked for, or sent, at a time.
const AT_A_TIME: usize = 4;

/// What is carried where.
struct Voyage<'a> {
    target: &'a ImageReference,
    packing: &'a Packing,
    registry: &'a dyn Destination,
    events: &'a dyn Sink,
}

/// What becomes of a layer.
enum Found {
    /// The repository has it.
    There(Packed),
    /// It is kept here.
    Kept(Blob),
    /// It must be compressed.
    Wanted,
}

/// Pushes an image. Returns the digest of its manifest; `None` where the engine is to push it.
pub(super) async fn ship(
    shipment: &Shipment<'_>,
    images: &dyn Images,
    registry: &dyn Destination,
    events: &dyn Sink,
) -> Result<Option<Digest>, PublishError> {
    let Some(packing) = shipment.packing else {
        return Ok(None);
    };
    let Some(image) = images.image(shipment.id.as_str()).await? else {
        return Ok(None);
    };
    let target = &shipment.target.reference();
    let voyage = Voyage {
        target,
        packing,
        registry,
        events,
    };
    let layers = image.layers.iter().collect::<BTreeSet<_>>();
    let found = stream::iter(layers.into_iter().map(|layer| voyage.find(layer)));
    let found = found.buffer_unordered(AT_A_TIME).try_collect::<Vec<_>>().await?;
    let Packing { compression, shelf } = packing;
    let mut wanted = Wanted {
        configuration: shipment.id.clone(),
        layers: BTreeSet::new(),
        lengths: BTreeSet::new(),
        compression: *compression,
    };
    let (mut kept, mut packed) = (Vec::new(), BTreeMap::new());
    for (layer, found) in found {
        match found {
            Found::There(there) => drop(packed.insert(layer, there)),
            Found::Kept(blob) => {
                packed.insert(layer.clone(), blob.packed.clone());
                kept.push((layer, blob));
            }
            Found::Wanted => drop(wanted.layers.insert(layer)),
        }
    }
    let known = packed.keys().filter_map(|layer| shelf.known(layer, *compression));
    wanted.lengths = known.map(|known| known.length).collect();
    let mut configuration = shelf.content(shipment.id);
    let sent = stream::iter(kept)
        .map(Ok)
        .try_for_each_concurrent(AT_A_TIME, |(layer, blob)| {
            let voyage = &voyage;
            async move { voyage.send(&layer, &blob).await }
        });
    sent.await?;
    // A layer may be as long as another one that is known; then it is found by a second look.
    let mut looks = if wanted.lengths.is_empty() { 1 } else { 2 };
    while looks > 0 && !(wanted.layers.is_empty() && configuration.is_some()) {
        looks -= 1;
        let Some(archive) = images.export(shipment.id).await? else {
            return Ok(None);
        };
        let unloaded = voyage.unload(archive, &wanted).await?;
        configuration = configuration.or(unloaded.configuration);
        for (layer, known) in unloaded.layers {
            wanted.layers.remove(&layer);
            packed.insert(layer, known.packed);
        }
        wanted.lengths.clear();
    }
    let layers = image.layers.iter().map(|layer| packed.get(layer).cloned());
    // What is saved in a form that is not known here, the engine itself may know how to push.
    let (Some(configuration), Some(layers)) = (configuration, layers.collect::<Option<Vec<_>>>()) else {
        return Ok(None);
    };
    let assembled = Assembled {
        configuration: configuration.into(),
        layers,
        compression: *compression,
    };
    let digest = registry.assemble(target, &assembled).await?;
    for layer in packed.keys() {
        shelf.taken(layer, *compression, &shipment.target.repository)?;
    }
    shelf.tidy()?;
    Ok(Some(digest))
}

/// What an archive had of what was wanted.
#[derive(Default)]
struct Unloaded {
    layers: Vec<(Digest, Known)>,
    configuration: Option<Vec<u8>>,
}

impl Voyage<'_> {
    /// Where a layer is. What other repositories of the registry have is made known in this one.
    async fn find(&self, layer: &Digest) -> Result<(Digest, Found), PublishError> {
        let Packing { compression, shelf } = self.packing;
        let Some(Known {
            packed, repositories, ..
        }) = shelf.known(layer, *compression)
        else {
            return Ok((layer.clone(), Found::Wanted));
        };
        let there = |status: &str| {
            self.tell(layer.short(), status, packed.size, packed.size);
            Ok((layer.clone(), Found::There(packed.clone())))
        };
        if self.registry.has(self.target, &packed.digest).await? {
            return there("Layer already exists");
        }
        for from in &repositories {
            if self.registry.mount(self.target, &packed.digest, from).await? {
                return there(&format!("Mounted from {from}"));
            }
        }
        let (kept, digest) = (shelf.clone(), packed.digest.clone());
        let opened = tokio::task::spawn_blocking(move || kept.open(&digest)).await;
        let found = match opened.ok().flatten() {
            Some(file) => Found::Kept(Blob {
                packed,
                file: Arc::new(file),
            }),
            None => Found::Wanted,
        };
        Ok((layer.clone(), found))
    }

    /// Reads an archive, and sends the layers that are wanted of it while the next ones are read.
    async fn unload(&self, archive: Export, wanted: &Wanted) -> Result<Unloaded, PublishError> {
        let (told, telling) = mpsc::unbounded_channel();
        let (kept, wanted) = (self.packing.shelf.clone(), wanted.clone());
        let reading = Pieces::of(archive, move |archive| {
            unpacked(archive, &wanted, &kept, |what| {
                // Who listens no more has failed, and ends the reading.
                let _ = told.send(what);
            })
        });
        let read = async { Ok::<_, PublishError>(reading.await??) };
        let mut unloaded = Unloaded::default();
        let mut layers = Vec::new();
        let configuration = &mut unloaded.configuration;
        let sending = UnboundedReceiverStream::new(telling).filter_map(|told| {
            let layer = match told {
                Told::Compressing { name, done, total } => {
                    let status = if done < total { "Compressing" } else { "Compressed" };
                    self.tell(&name, status, done, total);
                    None
                }
                Told::Configuration(bytes) => {
                    *configuration = Some(bytes);
                    None
                }
                Told::Layer(layer, known) => Some((layer, known)),
            };
            std::future::ready(layer)
        });
        let sending = sending.map(|(layer, known)| self.deliver(layer, known));
        let sent = sending.buffer_unordered(AT_A_TIME).try_for_each(|layer| {
            layers.push(layer);
            std::future::ready(Ok(()))
        });
        tokio::try_join!(read, sent)?;
        unloaded.layers = layers;
        Ok(unloaded)
    }

    /// Has a layer in the registry that was compressed a moment ago.
    async fn deliver(&self, layer: Digest, known: Known) -> Result<(Digest, Known), PublishError> {
        // Another machine may have compressed the same, or another image of this one.
        if self.registry.has(self.target, &known.packed.digest).await? {
            self.tell(
                layer.short(),
                "Layer already exists",
                known.packed.size,
                known.packed.size,
            );
            return Ok((layer, known));
        }
        let file = self.packing.shelf.open_unseen(&known.packed.digest)?;
        let blob = Blob {
            packed: known.packed.clone(),
            file: Arc::new(file),
        };
        self.send(&layer, &blob).await?;
        Ok((layer, known))
    }

    /// Sends a layer, and tells how far it is.
    async fn send(&self, layer: &Digest, blob: &Blob) -> Result<(), PublishError> {
        let (sent, mut telling) = watch::channel(0);
        let mut sending = self.registry.send(self.target, blob, &sent);
        let (name, total) = (layer.short(), blob.packed.size);
        loop {
            tokio::select! {
                ended = &mut sending => {
                    ended?;
                    break;
                }
                Ok(()) = telling.changed() => {
                    let sent = *telling.borrow_and_update();
                    self.tell(name, "Pushing", sent, total);
                }
            }
        }
        self.tell(name, "Pushed", total, total);
        Ok(())
    }

    fn tell(&self, layer: &str, status: &str, sent: u64, total: u64) {
        self.events.emit(Event::PushProgress {
            layer: layer.to_owned(),
            status: status.to_owned(),
            sent,
            total,
        });
    }
}

#[cfg(test)]
mod tests;
