//! Environments that are assembled: the steps of a build hand over their layers, and the engine takes those that it lacks.
//!
//! No builder copies them, and no layer is compared with what lies below it, which takes a builder longer than to write them. The
//! rest of the image is built on top.

mod passing;
mod program;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Instant;

use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use uuid::Uuid;

use self::passing::{Because, Offering, Passages, Untaken, offered, send};
use super::parent::{Foundation, Parent};
use super::{BuildError, Options, by_request, patiently, temporary};
use crate::compose::Assembly;
use crate::engine::{Below, BuildRequest, Builds, EngineError, Images, LayerForm};
use crate::event::{Event, Sink};
use crate::image::assembly::Offer;
use crate::image::{label, variable};
use crate::layers::Packing;
use crate::plan::ImagePlan;
use crate::reference::{Digest, EnvironmentName, ImageTag};

/// Parts of layers that wait for the engine.
const WAITING: usize = 16;

/// What becomes of an attempt to assemble environments.
enum Outcome {
    /// An image of all layers, which can be extended by this tag.
    Made(ImageTag),
    /// An environment has to be installed as a whole.
    Unable(EnvironmentName, String),
}

/// Makes an image of `parent`, what the mission puts between, and the layers of the environments; returns the tag by which it
/// can be extended. `None` where an environment has to be installed as a whole, or the engine takes no layers.
pub(super) async fn assembled(
    image: &ImagePlan,
    parent: &Parent,
    request: impl Fn(&ImagePlan) -> BuildRequest,
    (images, builds): (&dyn Images, &dyn Builds),
    options: &Options,
    events: &dyn Sink,
) -> Result<Option<ImageTag>, BuildError> {
    let Some(assembly) = image.assembly.as_ref() else {
        return Ok(None);
    };
    let packing = match (images.takes_layers().await?, &options.packing) {
        (Some(LayerForm::Plain), _) => None,
        (Some(LayerForm::Packed), Some(packing)) => Some(packing),
        _ => return Ok(None),
    };
    let edges = (images, builds);
    let on =
        async |below: &Lowest<'_>| layered((image, assembly), below, &request, packing, edges, options, events).await;
    let Some(dockerfile) = &assembly.below else {
        return on(&Lowest::of(parent)).await;
    };
    let below = image.by(dockerfile);
    let tag = options.temporary_tag();
    let request = BuildRequest {
        tags: vec![tag.clone()],
        labels: BTreeMap::new(),
        ..request(&below)
    };
    let id = by_request(&below, request, builds, options, events).await?;
    let lowest = Lowest {
        image: &id,
        program: None,
        with_program: &parent.id,
    };
    temporary::until(on(&lowest).await, &tag, images).await
}

/// What layers of environments lie on.
struct Lowest<'a> {
    image: &'a Digest,
    /// floe's own program, if it is to lie on them.
    program: Option<&'a Path>,
    /// What the steps that make them extend, where the program is.
    with_program: &'a Digest,
}

impl<'a> Lowest<'a> {
    /// What stays the same where only floe's program changes, if there is such a thing.
    fn of(parent: &'a Parent) -> Self {
        match &parent.foundation {
            Some(Foundation { id, program }) => Self {
                image: id,
                program: Some(program),
                with_program: &parent.id,
            },
            None => Self {
                image: &parent.id,
                program: None,
                with_program: &parent.id,
            },
        }
    }
}

/// Makes an image of `lowest` and the layers of the environments.
async fn layered(
    (image, assembly): (&ImagePlan, &Assembly),
    lowest: &Lowest<'_>,
    request: impl Fn(&ImagePlan) -> BuildRequest,
    packing: Option<&Packing>,
    (images, builds): (&dyn Images, &dyn Builds),
    options: &Options,
    events: &dyn Sink,
) -> Result<Option<ImageTag>, BuildError> {
    let making = image.by(&assembly.layers);
    let request = request(&making);
    let attempt = async || {
        let call = Uuid::new_v4().simple().to_string();
        let anew = if options.no_cache { "1" } else { "" };
        let mut request = BuildRequest {
            tags: Vec::new(),
            ..request.clone()
        };
        request.args.insert(variable::ASSEMBLY.to_owned(), call);
        request.args.insert(variable::ANEW.to_owned(), anew.to_owned());
        let taking = Taking {
            image: &request.image.clone(),
            lowest,
            tag: options.temporary_tag(),
            assembly,
            packing,
            passages: Passages {
                builds,
                image: lowest.with_program,
                from: options.passage,
            },
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
            (Err(_), Err(untaken)) if untaken.because == Because::Refused => Err(untaken.error),
            (Err(error), _) => Err(error),
            (Ok(()), Err(untaken)) => Err(untaken.error),
            (Ok(()), Ok(outcome)) => Ok(outcome),
        }
    };
    match patiently(&making, &options.retries, events, attempt).await? {
        Outcome::Made(tag) => {
            if let Some(packing) = packing {
                packing.shelf.tidy()?;
            }
            Ok(Some(tag))
        }
        Outcome::Unable(environment, reason) => {
            events.emit(Event::Note {
                text: format!("{environment} is installed as a whole: {reason}"),
            });
            Ok(None)
        }
    }
}

/// Layers that an image is to have.
struct Taking<'a> {
    image: &'a str,
    lowest: &'a Lowest<'a>,
    tag: ImageTag,
    assembly: &'a Assembly,
    /// How they are compressed, if they are to be.
    packing: Option<&'a Packing>,
    passages: Passages<'a>,
    images: &'a dyn Images,
    events: &'a dyn Sink,
}

impl Taking<'_> {
    async fn take(&self, mut arriving: mpsc::Receiver<DuplexStream>) -> Result<Outcome, Untaken> {
        let mut offerings = BTreeMap::new();
        while offerings.len() < self.assembly.environments.len() {
            let Some(connection) = arriving.recv().await else {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            };
            match offered(connection).await? {
                (Offer::Unable { environment, reason }, _) => return Ok(Outcome::Unable(environment, reason)),
                (
                    Offer::Layers {
                        environment,
                        layers,
                        door,
                    },
                    connection,
                ) => {
                    let offering = Offering {
                        environment: Some(environment.clone()),
                        connection,
                        layers,
                        door,
                        first: None,
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
        let environments = offerings.iter().map(|offering| offering.layers.len()).sum();
        if let Some(program) = self.lowest.program {
            offerings.push(program::offering(program).await?);
        }
        let (there, having) = self.there(&offerings).await?;
        let told = self.told(&offerings, environments, there);
        let (parts, layers) = mpsc::channel(WAITING);
        let below = Below {
            image: self.lowest.image,
            having: &having,
        };
        let extending = self.images.extend(below, &self.tag, layers);
        let sending = send(&mut offerings, there, (self.packing, &self.passages), parts);
        let (sent, extended) = tokio::join!(sending, extending);
        let made = match (sent, extended) {
            (Ok(()), Ok(_)) => Ok(Outcome::Made(self.tag.clone())),
            (Ok(()), Err(error)) => Err(error.into()),
            (Err(untaken), Err(error)) if untaken.because == Because::Unread => Err(error.into()),
            (Err(untaken), _) => Err(untaken),
        };
        told.ended(
            self.events,
            made.as_ref().err().map(|untaken| untaken.error.to_string()),
        );
        made
    }

    /// Tells which of `all` layers of environments are on their way.
    fn told(&self, offerings: &[Offering], all: usize, there: usize) -> Step {
        let layers = offerings.iter().flat_map(|offering| &offering.layers).take(all);
        let megabytes = layers
            .skip(there)
            .map(|layer| layer.bytes)
            .sum::<u64>()
            .div_ceil(1_000_000);
        let there = there.min(all);
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

    /// How many of the layers, the lowest first, the engine has on top of the parent; and an image that has these.
    async fn there(&self, offerings: &[Offering]) -> Result<(usize, Digest), EngineError> {
        let parent = self.images.image(self.lowest.image.as_str()).await?;
        let mut chain = parent.map(|image| image.layers).unwrap_or_default();
        let below = chain.len();
        let offered = offerings.iter().flat_map(|offering| &offering.layers);
        chain.extend(offered.map_while(|layer| layer.digest.clone()));
        let (mut most, mut having) = (0, self.lowest.image.clone());
        for listed in self.images.labelled(label::INPUT_DIGEST).await? {
            // One that has gone meanwhile has no layers.
            let image = self.images.image(listed.id.as_str()).await?;
            let layers = image.map(|image| image.layers).unwrap_or_default();
            let shared = layers.iter().zip(&chain).take_while(|(a, b)| a == b).count();
            if shared.saturating_sub(below) > most {
                (most, having) = (shared - below, listed.id);
            }
        }
        Ok((most, having))
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

#[cfg(test)]
mod tests;
