//! Layers on their way from the steps of a build to the engine: those that it lacks, in the form in which it takes them.

use std::fs::File;
use std::io::{self, Seek as _};
use std::mem;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream};
use tokio::sync::mpsc;

use crate::engine::{Builds, Connection, EngineError, LayerPart, NewLayer, Pieces};
use crate::fault::Trouble;
use crate::image::assembly::{Offer, Offered, Sent, Wanted};
use crate::image::layer;
use crate::layers::{Packed, Packing};
use crate::reference::{Digest, EnvironmentName};
use crate::state::FileError;

/// Bytes of a layer that are passed on at once.
const PIECE: usize = 256 * 1024;

/// Pieces that wait to be compressed.
const WAITING: usize = 16;

/// No line that announces layers is longer, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// A connection with who has layers.
pub(super) type Buffered = BufStream<Box<dyn Connection>>;

/// Layers that were offered, and the connection with who has them.
pub(super) struct Offering {
    /// The environment that they are; `None`: floe's own program.
    pub environment: Option<EnvironmentName>,
    pub connection: Buffered,
    pub layers: Vec<Offered>,
    /// Where who has them can be reached past the builder.
    pub door: Option<PathBuf>,
    /// The connection that they were offered by, where another has taken its place: a step goes on as long as it.
    pub first: Option<Buffered>,
}

/// What leads past the builder.
pub(super) struct Passages<'a> {
    pub builds: &'a dyn Builds,
    /// An image that has floe's program.
    pub image: &'a Digest,
    /// From how many bytes on it is worth its container.
    pub from: u64,
}

impl Passages<'_> {
    /// A better connection for so many bytes, if there is one. Without it there is the one by which they were offered.
    async fn lead(&self, offering: &Offering, bytes: u64) -> Option<Buffered> {
        let door = offering.door.as_ref().filter(|_| bytes > 0 && bytes >= self.from)?;
        let stream = self.builds.passage(self.image, door).await.ok()??;
        Some(BufStream::new(Box::new(stream)))
    }
}

/// Layers that were not taken.
pub(super) struct Untaken {
    pub error: EngineError,
    pub because: Because,
}

/// Why layers were not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    /// They did not arrive as they should, which the build may know more of.
    Broken,
    /// The engine reads no more of them, and knows why.
    Unread,
    /// The engine would not take them, or this machine not keep them.
    Refused,
}

impl Untaken {
    fn new(because: Because, reason: String) -> Self {
        let error = EngineError::Request {
            action: "take the layers of environments".to_owned(),
            reason,
            trouble: Trouble::Lost,
        };
        Self { error, because }
    }
}

impl From<io::Error> for Untaken {
    fn from(error: io::Error) -> Self {
        Self::new(Because::Broken, error.to_string())
    }
}

impl From<EngineError> for Untaken {
    fn from(error: EngineError) -> Self {
        Self {
            error,
            because: Because::Refused,
        }
    }
}

impl From<FileError> for Untaken {
    fn from(FileError { path, source }: FileError) -> Self {
        EngineError::File { path, source }.into()
    }
}

/// Reads what a step of the build offers.
pub(super) async fn offered(connection: DuplexStream) -> io::Result<(Offer, Buffered)> {
    let mut connection: Buffered = BufStream::new(Box::new(connection));
    let offer = line(&mut connection).await?;
    Ok((offer, connection))
}

/// The way of a layer to the engine.
enum Way<'a> {
    /// The engine has it.
    There(Digest),
    /// It is at hand as the engine takes it.
    Ready(Ready),
    /// The step hands it over, and it is compressed.
    Pack(&'a Packing),
    /// The step hands it over as the engine takes it.
    Plain,
}

/// A layer that is compressed.
struct Ready {
    /// The digest of its content.
    layer: Digest,
    packed: Packed,
    media_type: &'static str,
    file: File,
}

/// Passes on the layers that are not `there`, compressed where that is asked for.
pub(super) async fn send(
    offerings: &mut [Offering],
    there: usize,
    (packing, passages): (Option<&Packing>, &Passages<'_>),
    parts: mpsc::Sender<LayerPart>,
) -> Result<(), Untaken> {
    let mut left = there;
    let mut ways = Vec::new();
    for offering in &mut *offerings {
        let mut own = Vec::new();
        for layer in &offering.layers {
            own.push(way(layer, left > 0, packing).await);
            left = left.saturating_sub(1);
        }
        let wanted = own.iter().enumerate();
        let wanted = wanted.filter(|(_, way)| matches!(way, Way::Pack(_) | Way::Plain));
        let layers = wanted.map(|(index, _)| index).collect::<Vec<_>>();
        let bytes = layers.iter().map(|&index| offering.layers[index].bytes).sum();
        let passage = passages.lead(offering, bytes).await;
        let by_door = passage.is_some();
        say(&mut offering.connection, &Wanted { layers, by_door }).await?;
        if let Some(passage) = passage {
            offering.first = Some(mem::replace(&mut offering.connection, passage));
        }
        ways.push(own);
    }
    for (offering, ways) in offerings.iter_mut().zip(ways) {
        let all = offering.layers.len();
        for (number, (layer, way)) in (1..).zip(offering.layers.iter().zip(ways)) {
            let made = match &offering.environment {
                Some(environment) => layer::assembled(environment, number, all),
                None => layer::PROGRAM.to_owned(),
            };
            one(&mut offering.connection, layer, (way, made), &parts).await?;
        }
    }
    pass(&parts, LayerPart::Done).await
}

/// How a layer is to get to the engine. It may be kept from an earlier build.
async fn way<'a>(layer: &Offered, is_there: bool, packing: Option<&'a Packing>) -> Way<'a> {
    match (&layer.digest, packing) {
        (Some(digest), _) if is_there => Way::There(digest.clone()),
        (Some(digest), Some(packing)) => kept(packing, digest).await.map_or(Way::Pack(packing), Way::Ready),
        (None, Some(packing)) => Way::Pack(packing),
        (_, None) => Way::Plain,
    }
}

/// Passes on one layer.
async fn one(
    connection: &mut Buffered,
    layer: &Offered,
    (way, made): (Way<'_>, String),
    parts: &mpsc::Sender<LayerPart>,
) -> Result<(), Untaken> {
    let ready = match way {
        Way::There(digest) => {
            let layer = NewLayer::There(digest);
            return pass(parts, LayerPart::Begin { made, layer }).await;
        }
        Way::Plain => {
            let plain = NewLayer::Plain(layer.bytes);
            pass(parts, LayerPart::Begin { made, layer: plain }).await?;
            pieces(connection, layer.bytes, async |piece| {
                pass(parts, LayerPart::Bytes(piece)).await
            })
            .await?;
            return pass(parts, LayerPart::End(ended(connection, layer).await?)).await;
        }
        Way::Ready(ready) => ready,
        Way::Pack(packing) => pack(connection, layer, packing).await?,
    };
    let size = ready.packed.size;
    let packed = NewLayer::Packed {
        media_type: ready.media_type,
        digest: ready.packed.digest,
        size,
    };
    pass(parts, LayerPart::Begin { made, layer: packed }).await?;
    let mut file = tokio::fs::File::from_std(ready.file);
    pieces(&mut file, size, async |piece| {
        pass(parts, LayerPart::Bytes(piece)).await
    })
    .await?;
    pass(parts, LayerPart::End(ready.layer)).await
}

/// The layer with this content, if it is kept from an earlier build.
async fn kept(packing: &Packing, layer: &Digest) -> Option<Ready> {
    let (Packing { compression, shelf }, layer) = (packing.clone(), layer.clone());
    let found = tokio::task::spawn_blocking(move || {
        let packed = shelf.known(&layer, compression)?.packed;
        let mut file = shelf.open(&packed.digest)?;
        file.rewind().ok()?;
        Some(Ready {
            layer,
            packed,
            media_type: compression.media_type(),
            file,
        })
    });
    found.await.ok().flatten()
}

/// Has a layer that a step hands over compressed.
async fn pack(
    connection: &mut Buffered,
    offered: &Offered,
    Packing { compression, shelf }: &Packing,
) -> Result<Ready, Untaken> {
    let (sender, arriving) = mpsc::channel(WAITING);
    let (compression, place) = (*compression, shelf.clone());
    let packing = tokio::task::spawn_blocking(move || place.pack(Pieces::new(arriving), compression));
    let read = pieces(connection, offered.bytes, async |piece| {
        // Who takes no more of it has failed, and says why.
        let _ = sender.send(Ok(piece)).await;
        Ok(())
    })
    .await;
    if read.is_err() {
        // A cut layer must not be kept for a whole one.
        let _ = sender.send(Err(io::ErrorKind::UnexpectedEof.into())).await;
    }
    drop(sender);
    let packed = packing.await.map_err(io::Error::other)?;
    read?;
    let (layer, known) = packed?;
    if ended(connection, offered).await? != layer {
        return Err(io::Error::other("a layer is not the one that was sent").into());
    }
    Ok(Ready {
        layer,
        file: shelf.open_unseen(&known.packed.digest)?,
        packed: known.packed,
        media_type: compression.media_type(),
    })
}

/// Reads so many bytes, and hands them on piece by piece.
async fn pieces(
    from: &mut (impl AsyncRead + Unpin),
    bytes: u64,
    mut on: impl AsyncFnMut(Bytes) -> Result<(), Untaken>,
) -> Result<(), Untaken> {
    let mut from = from.take(bytes);
    while from.limit() > 0 {
        let mut piece = BytesMut::with_capacity(PIECE);
        if from.read_buf(&mut piece).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        on(piece.freeze()).await?;
    }
    Ok(())
}

/// What a step says at the end of a layer: the digest of its content, which is the one that it offered.
async fn ended(connection: &mut Buffered, layer: &Offered) -> io::Result<Digest> {
    let Sent { digest } = line(connection).await?;
    if layer.digest.as_ref().is_some_and(|offered| *offered != digest) {
        return Err(io::Error::other("a layer is not the one that was offered"));
    }
    Ok(digest)
}

async fn pass(parts: &mpsc::Sender<LayerPart>, part: LayerPart) -> Result<(), Untaken> {
    let passed = parts.send(part).await;
    passed.map_err(|_| Untaken::new(Because::Unread, "the engine takes no more of them".to_owned()))
}

pub(super) async fn line<T: serde::de::DeserializeOwned>(connection: &mut Buffered) -> io::Result<T> {
    let mut text = Vec::new();
    connection.take(LONGEST_LINE).read_until(b'\n', &mut text).await?;
    if text.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

pub(super) async fn say(connection: &mut Buffered, message: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    connection.write_all(&text).await?;
    connection.flush().await
}
