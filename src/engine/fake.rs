//! An engine in memory, for unit tests of what uses one.
//!
//! It carries nothing out: it records each call as a line of text, and returns what the test has scripted.

mod builds;
mod consoles;
mod containers;
mod disk;
mod layers;
mod left;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::{
    Below, BuildRequest, Change, Container, ContainerExit, ContainerRequest, Containers, Credentials, EngineError,
    Export, Image, Images, Layer, LayerForm, LayerPart, LeftRun, Listed, Stored,
};
use crate::event::{Event, Sink};
use crate::fault::Trouble;
use crate::reference::{Digest, ImageReference, ImageTag};

pub use builds::Handing;
use containers::Kept;

/// An engine in memory. An image it has no script for is built, imported, pushed or run with success.
#[derive(Default)]
pub struct Fake(Mutex<State>);

/// What a container does.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it prints first.
    pub output: Vec<u8>,
    /// What the agent in it says then, sealed as the request asks.
    pub said: Vec<Event>,
    /// Which of that arrives, by its place, in this order; all of it, if `None`.
    pub arriving: Option<Vec<usize>>,
    /// How it ends; `None` where it runs until it is killed.
    pub exit: Option<ContainerExit>,
    /// What the agent says when it is asked to end, and then does; `None` where it goes on.
    pub farewell: Option<Vec<Event>>,
    /// The files it holds at its end, by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// Whether copying them out has no end.
    pub endless: bool,
    /// What it changed in its image.
    pub changes: Vec<Change>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            output: Vec::new(),
            said: Vec::new(),
            arriving: None,
            exit: Some(ContainerExit {
                code: 0,
                out_of_memory: false,
            }),
            farewell: None,
            files: BTreeMap::new(),
            endless: false,
            changes: Vec::new(),
        }
    }
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    requests: Vec<BuildRequest>,
    started: Vec<ContainerRequest>,
    tags: BTreeMap<String, Digest>,
    images: BTreeMap<Digest, Image>,
    remote: BTreeMap<String, Image>,
    failures: BTreeMap<&'static str, VecDeque<EngineError>>,
    /// What the steps of the next performances hand over.
    performances: VecDeque<Vec<Handing>>,
    /// The connections that were handed in at doors.
    admitted: HashMap<PathBuf, UnixStream>,
    /// Whether it takes layers compressed.
    packs: bool,
    runs: VecDeque<Run>,
    /// What the next images hold that solve specs.
    solutions: VecDeque<Run>,
    /// The images that solve specs.
    solving: BTreeSet<Digest>,
    /// What is read of the layers of images where they are kept, by their IDs, and why no more is.
    stored: BTreeMap<Digest, (Vec<u8>, Option<String>)>,
    /// What images are saved as, by their IDs; the others the engine pushes itself.
    archives: BTreeMap<Digest, Vec<u8>>,
    /// The layers of images, by their IDs.
    layers: BTreeMap<Digest, Vec<Layer>>,
    containers: BTreeMap<String, Kept>,
    left: BTreeMap<String, LeftRun>,
    builds_hang: bool,
}

impl Fake {
    /// An engine without images and scripts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The calls so far, in order, one line each.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.state().calls.clone()
    }

    /// The builds that were asked for, in order.
    #[must_use]
    pub fn builds(&self) -> Vec<BuildRequest> {
        self.state().requests.clone()
    }

    /// The containers that were asked for, in order, less those of images that solve specs.
    #[must_use]
    pub fn started(&self) -> Vec<ContainerRequest> {
        self.state().started.clone()
    }

    /// Gives the engine an image named `reference` with these labels; returns its ID.
    pub fn add_image(&self, reference: &str, labels: BTreeMap<String, String>) -> Digest {
        let image = made_up(reference, labels);
        let id = image.id.clone();
        let mut state = self.state();
        state.tags.insert(reference.to_owned(), id.clone());
        state.images.insert(id.clone(), image);
        id
    }

    /// Gives the engine an image that another one made.
    pub fn hold(&self, image: Image) {
        self.state().images.insert(image.id.clone(), image);
    }

    /// Gives the registry an image that can be pulled as `reference`; returns its ID.
    pub fn add_remote_image(&self, reference: &str, labels: BTreeMap<String, String>) -> Digest {
        let image = made_up(reference, labels);
        let id = image.id.clone();
        self.state().remote.insert(reference.to_owned(), image);
        id
    }

    /// What the next container that has no script yet does.
    pub fn script_run(&self, run: Run) {
        self.state().runs.push_back(run);
    }

    /// The files that the next image holds that solves specs, by absolute path; none where nothing is scripted.
    pub fn script_solution(&self, files: BTreeMap<String, Vec<u8>>) {
        let run = Run {
            files,
            ..Run::default()
        };
        self.state().solutions.push_back(run);
    }

    /// Lets the next call of `method` (of an edge of the engine, e.g. `build`) end with `error`.
    pub fn script_failure(&self, method: &'static str, error: EngineError) {
        self.state().failures.entry(method).or_default().push_back(error);
    }

    /// The layers of the image `id`, by what made them and what they hold.
    pub fn script_layers(&self, id: &Digest, layers: &[(&str, &str)]) {
        let layers = layers.iter().map(|(words, content)| Layer {
            digest: Digest::of(content.as_bytes()),
            made: (*words).to_owned(),
            size: content.len() as u64,
        });
        let layers = layers.collect::<Vec<_>>();
        let mut state = self.state();
        let image = state.images.get_mut(id).expect("there is such an image");
        image.layers = layers.iter().map(|layer| layer.digest.clone()).collect();
        state.layers.insert(id.clone(), layers);
    }

    /// What is read where layers of the image `id` are kept, and the reason why no more is.
    pub fn script_stored(&self, id: &Digest, archive: Vec<u8>, error: Option<&str>) {
        let read = (archive, error.map(str::to_owned));
        self.state().stored.insert(id.clone(), read);
    }

    /// What the image `id` is saved as.
    pub fn script_export(&self, id: &Digest, archive: Vec<u8>) {
        self.state().archives.insert(id.clone(), archive);
    }

    /// Lets builds go on without end.
    pub fn hang_builds(&self) {
        self.state().builds_hang = true;
    }

    /// Records a call, and ends it where a failure is scripted.
    fn call(&self, method: &'static str, words: &str) -> Result<MutexGuard<'_, State>, EngineError> {
        let mut state = self.state();
        state.calls.push(format!("{method} {words}"));
        let scripted = state.failures.get_mut(method).and_then(VecDeque::pop_front);
        scripted.map_or(Ok(state), Err)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Images for Fake {
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        Ok(self.call("image", reference)?.find(reference).cloned())
    }

    async fn layers(&self, image: &Image) -> Result<Vec<Layer>, EngineError> {
        Ok(self.state().layers.get(&image.id).cloned().unwrap_or_default())
    }

    async fn labelled(&self, label: &str) -> Result<Vec<Listed>, EngineError> {
        let state = self.call("labelled", label)?;
        let images = state.images.values().filter(|image| image.labels.contains_key(label));
        let listed = images.map(|image| Listed {
            id: image.id.clone(),
            tags: state
                .tags
                .iter()
                .filter(|(_, id)| **id == image.id)
                .map(|(tag, _)| tag.clone())
                .collect(),
            labels: image.labels.clone(),
        });
        Ok(listed.collect())
    }

    async fn pull(
        &self,
        reference: &ImageReference,
        _: Option<Credentials>,
        _: &dyn Sink,
    ) -> Result<Image, EngineError> {
        let reference = reference.as_str();
        let mut state = self.call("pull", reference)?;
        let image = state.remote.get(reference).cloned();
        let image = image.ok_or_else(|| refused(format!("pull {reference}"), "manifest unknown"))?;
        state.keep(reference.to_owned(), image.clone());
        Ok(image)
    }

    async fn import(
        &self,
        archive: PathBuf,
        tag: &ImageTag,
        labels: &BTreeMap<String, String>,
    ) -> Result<Digest, EngineError> {
        let name = archive.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut state = self.call("import", &format!("{name} as {tag}"))?;
        let image = made_up(&name, labels.clone());
        let id = image.id.clone();
        state.keep(tag.to_string(), image);
        Ok(id)
    }

    async fn tag(&self, id: &Digest, tag: &ImageTag) -> Result<(), EngineError> {
        let mut state = self.call("tag", &format!("{} as {tag}", id.short()))?;
        if !state.images.contains_key(id) {
            return Err(refused(format!("tag {id} as {tag}"), "no such image"));
        }
        state.tags.insert(tag.to_string(), id.clone());
        Ok(())
    }

    async fn stored(&self, wanted: Stored<'_>) -> Result<Option<Export>, EngineError> {
        let state = self.call("stored", wanted.image.short())?;
        let pieces = state.stored.get(wanted.image).cloned();
        Ok(pieces.map(|(archive, error)| {
            let pieces = archive.chunks(10_000).map(Bytes::copy_from_slice).map(Ok);
            let failure = error.map(|reason| Err(refused("read layers".to_owned(), &reason)));
            stream::iter(pieces.chain(failure).collect::<Vec<_>>()).boxed()
        }))
    }

    async fn export(&self, id: &Digest) -> Result<Option<Export>, EngineError> {
        let state = self.call("export", id.short())?;
        let archive = state.archives.get(id).cloned();
        Ok(archive.map(|archive| {
            let pieces = archive.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece)));
            stream::iter(pieces.collect::<Vec<_>>()).boxed()
        }))
    }

    async fn takes_layers(&self) -> Result<Option<LayerForm>, EngineError> {
        let state = self.state();
        let form = if state.packs {
            LayerForm::Packed
        } else {
            LayerForm::Plain
        };
        Ok(Some(form).filter(|_| !state.performances.is_empty()))
    }

    async fn extend(
        &self,
        below: Below<'_>,
        tag: &ImageTag,
        layers: mpsc::Receiver<LayerPart>,
    ) -> Result<Digest, EngineError> {
        layers::extend(self, below, tag, layers).await
    }

    async fn push(&self, tag: &ImageTag, _: Option<Credentials>, _: &dyn Sink) -> Result<Digest, EngineError> {
        let state = self.call("push", &tag.to_string())?;
        let Some(id) = state.tags.get(&tag.to_string()).cloned() else {
            return Err(refused(format!("push {tag}"), "no such image"));
        };
        Ok(Digest::of(format!("the manifest of {id}").as_bytes()))
    }

    async fn untag(&self, tag: &ImageTag) -> Result<(), EngineError> {
        self.call("untag", &tag.to_string())?.tags.remove(&tag.to_string());
        Ok(())
    }

    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError> {
        self.call("remove_image", id.as_str())?
            .images
            .retain(|_, image| image.id != *id);
        Ok(())
    }
}

impl State {
    /// What the next container of the image does.
    fn next_run(&mut self, image: &str) -> Run {
        let queue = if self.solves(image) {
            &mut self.solutions
        } else {
            &mut self.runs
        };
        queue.pop_front().unwrap_or_default()
    }

    /// Whether the image solves specs.
    fn solves(&self, image: &str) -> bool {
        self.find(image).is_some_and(|image| self.solving.contains(&image.id))
    }

    fn find(&self, reference: &str) -> Option<&Image> {
        let id = self.tags.get(reference).cloned().or_else(|| reference.parse().ok())?;
        self.images.get(&id)
    }

    fn keep(&mut self, tag: String, image: Image) {
        self.tags.insert(tag, image.id.clone());
        self.images.insert(image.id.clone(), image);
    }

    fn container(&self, action: &str, container: &Container) -> Result<&Kept, EngineError> {
        let kept = self.containers.get(&container.id);
        kept.ok_or_else(|| refused(format!("{action} {}", container.id), "no such container"))
    }
}

fn refused(action: String, reason: &str) -> EngineError {
    EngineError::Request {
        action,
        reason: reason.to_owned(),
        trouble: Trouble::Vanished,
    }
}

/// An image whose ID follows from its content.
fn made_up(content: &str, labels: BTreeMap<String, String>) -> Image {
    Image {
        id: Digest::of(format!("{content}{labels:?}").as_bytes()),
        created: None,
        layers: vec![Digest::of(content.as_bytes())],
        labels,
        variables: BTreeMap::new(),
        user: String::new(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        size: content.len() as u64,
    }
}

#[cfg(test)]
mod tests;
