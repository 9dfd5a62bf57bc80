//! Environments that are assembled: the steps of a build hand over their layers, and the engine takes those that it lacks.
//!
//! No builder copies them, and no layer is compared with what lies below it, which takes a builder longer than to write them. The
//! rest of the image is built on top.

use std::collections::BTreeMap;
use std::io;
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{BuildError, Options, Parent, patiently};
use crate::engine::{BuildRequest, Builds, EngineError, Images, LayerPart, NewLayer};
use crate::event::{Event, Sink};
use crate::fault::Trouble;
use crate::image::assembly::{Offer, Offered, Sent, Wanted};
use crate::image::{label, layer, variable};
use crate::plan::{Assembly, ImagePlan};
use crate::reference::{Digest, EnvironmentName, ImageTag};

/// Bytes of a layer that are passed on at once.
const PIECE: usize = 256 * 1024;

/// Parts of layers that wait for the engine.
const WAITING: usize = 16;

/// No line that announces layers is longer, in bytes.
const LONGEST_LINE: u64 = 1 << 20;

/// What becomes of an attempt to assemble environments.
enum Outcome {
    /// An image of all layers, and the tag by which it can be extended.
    Made(ImageTag, Digest),
    /// An environment has to be installed as a whole.
    Unable(EnvironmentName, String),
}

/// Makes an image of `parent` and the layers of the environments. `None` where one of them has to be installed as a whole, or
/// the engine takes no layers.
pub(super) async fn assembled(
    image: &ImagePlan,
    parent: &Parent,
    request: impl Fn(&ImagePlan) -> BuildRequest,
    (images, builds): (&dyn Images, &dyn Builds),
    options: &Options,
    events: &dyn Sink,
) -> Result<Option<(ImageTag, Parent)>, BuildError> {
    let Some(assembly) = image.assembly.as_ref() else {
        return Ok(None);
    };
    if !images.takes_layers().await? {
        return Ok(None);
    }
    let making = image.by(&assembly.layers);
    let request = request(&making);
    let attempt = async || {
        let call = Uuid::new_v4().simple().to_string();
        let anew = if options.no_cache { "1" } else { "" };
        let mut request = BuildRequest {
            tags: Vec::new(),
            ..request.clone()
        };
        request.args.insert(variable::ASSEMBLY.to_owned(), call.clone());
        request.args.insert(variable::ANEW.to_owned(), anew.to_owned());
        let taking = Taking {
            image: &request.image.clone(),
            parent: &parent.id,
            tag: ImageTag::local("assembled", call),
            assembly,
            images,
            events,
        };
        let (connections, arriving) = mpsc::channel(assembly.environments.len());
        let performing = builds.perform(request, connections, events);
        let (performed, taken) = tokio::join!(performing, taking.take(arriving));
        match (performed, taken) {
            // Steps that nobody listens to any more fail.
            (_, Ok(unable @ Outcome::Unable(..))) => Ok(unable),
            // What came of a build that failed is its doing, unless the engine itself would not take it.
            (Err(error), Err(taken)) => Err(if taken.is_of_the_connection { error } else { taken.error }),
            (Err(error), Ok(_)) => Err(error),
            (Ok(()), Err(taken)) => Err(taken.error),
            (Ok(()), Ok(outcome)) => Ok(outcome),
        }
    };
    match patiently(&making, &options.retries, events, attempt).await? {
        Outcome::Made(tag, id) => {
            let reference = tag.to_string();
            Ok(Some((tag, Parent { reference, id })))
        }
        Outcome::Unable(environment, reason) => {
            events.emit(Event::Note {
                text: format!("{environment} is installed as a whole: {reason}"),
            });
            Ok(None)
        }
    }
}

/// Layers that could not be taken.
struct Untaken {
    error: EngineError,
    /// Whether they did not arrive as they should, which the build may know more of.
    is_of_the_connection: bool,
}

impl From<EngineError> for Untaken {
    fn from(error: EngineError) -> Self {
        Self {
            error,
            is_of_the_connection: false,
        }
    }
}

fn broken(error: &io::Error) -> Untaken {
    Untaken {
        error: EngineError::Request {
            action: "take the layers of environments".to_owned(),
            reason: error.to_string(),
            trouble: Trouble::Lost,
        },
        is_of_the_connection: true,
    }
}

/// Layers on their way from the steps of a build to the engine.
struct Taking<'a> {
    image: &'a str,
    parent: &'a Digest,
    tag: ImageTag,
    assembly: &'a Assembly,
    images: &'a dyn Images,
    events: &'a dyn Sink,
}

/// The layers of an environment that was offered, and the connection to it.
struct Offering {
    environment: EnvironmentName,
    connection: BufStream<DuplexStream>,
    layers: Vec<Offered>,
}

impl Taking<'_> {
    async fn take(&self, mut arriving: mpsc::Receiver<DuplexStream>) -> Result<Outcome, Untaken> {
        let mut offerings = BTreeMap::new();
        while offerings.len() < self.assembly.environments.len() {
            let Some(connection) = arriving.recv().await else {
                return Err(broken(&io::ErrorKind::UnexpectedEof.into()));
            };
            let mut connection = BufStream::new(connection);
            let offer = line::<Offer>(&mut connection).await.map_err(|error| broken(&error))?;
            match offer {
                Offer::Unable { environment, reason } => return Ok(Outcome::Unable(environment, reason)),
                Offer::Layers { environment, layers } => {
                    let offering = Offering {
                        environment: environment.clone(),
                        connection,
                        layers,
                    };
                    offerings.insert(environment, offering);
                }
            }
        }
        let mut offerings = self
            .assembly
            .environments
            .iter()
            .filter_map(|environment| offerings.remove(environment))
            .collect::<Vec<_>>();
        let there = self.there(&offerings).await?;
        let told = self.told(&offerings, there);
        let (parts, layers) = mpsc::channel(WAITING);
        let extending = self.images.extend(self.parent, &self.tag, layers);
        let (sent, extended) = tokio::join!(send(&mut offerings, there, parts), extending);
        let made = match (sent, extended) {
            (Ok(()), Ok(id)) => Ok(Outcome::Made(self.tag.clone(), id)),
            (Ok(()), Err(error)) => Err(error.into()),
            (Err(error), _) => Err(broken(&error)),
        };
        told.ended(
            self.events,
            made.as_ref().err().map(|untaken| untaken.error.to_string()),
        );
        made
    }

    /// Tells which layers are on their way.
    fn told(&self, offerings: &[Offering], there: usize) -> Step {
        let layers = offerings.iter().flat_map(|offering| &offering.layers);
        let new = layers.clone().skip(there);
        let megabytes = new.map(|layer| layer.bytes).sum::<u64>().div_ceil(1_000_000);
        let all = layers.count();
        let step = Step {
            image: self.image.to_owned(),
            name: match all - there {
                0 => format!("{all} layers of packages, all there"),
                new => format!("{all} layers of packages, {new} new, {megabytes} MB"),
            },
            is_known: all == there,
            began: Instant::now(),
        };
        self.events.emit(Event::StepStarted {
            image: step.image.clone(),
            step: Step::ID.to_owned(),
            name: step.name.clone(),
        });
        step
    }

    /// How many of the layers, the lowest first, the engine has on top of the parent.
    async fn there(&self, offerings: &[Offering]) -> Result<usize, EngineError> {
        let parent = self.images.image(self.parent.as_str()).await?;
        let mut chain = parent.map(|image| image.layers).unwrap_or_default();
        let below = chain.len();
        let offered = offerings.iter().flat_map(|offering| &offering.layers);
        chain.extend(offered.map_while(|layer| layer.digest.clone()));
        let mut most = 0;
        for listed in self.images.labelled(label::INPUT_DIGEST).await? {
            // One that has gone meanwhile has no layers.
            let image = self.images.image(listed.id.as_str()).await?;
            let layers = image.map(|image| image.layers).unwrap_or_default();
            let shared = layers.iter().zip(&chain).take_while(|(a, b)| a == b).count();
            most = most.max(shared.saturating_sub(below));
        }
        Ok(most)
    }
}

/// The way of layers to the engine, as people see it.
struct Step {
    image: String,
    name: String,
    is_known: bool,
    began: Instant,
}

impl Step {
    /// No builder calls a step so.
    const ID: &str = "layers";

    fn ended(self, events: &dyn Sink, error: Option<String>) {
        events.emit(Event::StepFinished {
            image: self.image,
            step: Self::ID.to_owned(),
            name: self.name,
            seconds: self.began.elapsed().as_secs_f64(),
            cached: self.is_known,
            error,
        });
    }
}

/// Passes on the layers that are not `there`.
async fn send(offerings: &mut [Offering], there: usize, parts: mpsc::Sender<LayerPart>) -> io::Result<()> {
    let mut left = there;
    let mut wanted = Vec::new();
    for offering in &mut *offerings {
        let first = left.min(offering.layers.len());
        left -= first;
        let layers = (first..offering.layers.len()).collect();
        wanted.push(first);
        say(&mut offering.connection, &Wanted { layers }).await?;
    }
    for (offering, first) in offerings.iter_mut().zip(wanted) {
        for (index, layer) in offering.layers.iter().enumerate() {
            let (number, all) = (index + 1, offering.layers.len());
            let made = layer::assembled(&offering.environment, number, all);
            match &layer.digest {
                Some(digest) if index < first => {
                    let layer = NewLayer::There(digest.clone());
                    pass(&parts, LayerPart::Begin { made, layer }).await?;
                }
                _ => one(&mut offering.connection, layer, made, &parts).await?,
            }
        }
    }
    pass(&parts, LayerPart::Done).await
}

/// Passes on one layer.
async fn one(
    connection: &mut BufStream<DuplexStream>,
    layer: &Offered,
    made: String,
    parts: &mpsc::Sender<LayerPart>,
) -> io::Result<()> {
    let begin = LayerPart::Begin {
        made,
        layer: NewLayer::Bytes(layer.bytes),
    };
    pass(parts, begin).await?;
    let mut left = layer.bytes;
    while left > 0 {
        let mut piece = BytesMut::with_capacity(PIECE);
        let read = (&mut *connection).take(left).read_buf(&mut piece).await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= read as u64;
        pass(parts, LayerPart::Bytes(piece.freeze())).await?;
    }
    let Sent { digest } = line(connection).await?;
    if layer.digest.as_ref().is_some_and(|offered| *offered != digest) {
        return Err(io::Error::other("a layer is not the one that was offered"));
    }
    pass(parts, LayerPart::End(digest)).await
}

async fn pass(parts: &mpsc::Sender<LayerPart>, part: LayerPart) -> io::Result<()> {
    let passed = parts.send(part).await;
    passed.map_err(|_| io::Error::other("the engine takes no more of them"))
}

async fn line<T: serde::de::DeserializeOwned>(connection: &mut BufStream<DuplexStream>) -> io::Result<T> {
    let mut text = Vec::new();
    connection.take(LONGEST_LINE).read_until(b'\n', &mut text).await?;
    if text.last() != Some(&b'\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(serde_json::from_slice(&text)?)
}

async fn say(connection: &mut BufStream<DuplexStream>, message: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(message)?;
    text.push(b'\n');
    connection.write_all(&text).await?;
    connection.flush().await
}

#[cfg(test)]
mod tests;
