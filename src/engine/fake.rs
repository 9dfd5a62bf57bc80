//! An engine in memory, for unit tests of what uses one.
//!
//! It carries nothing out: it records each call as a line of text, and answers what the test has scripted.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::{BuildRequest, Container, ContainerExit, ContainerRequest, Credentials, Engine, EngineError, Found, Image};
use crate::event::Sink;
use crate::reference::{Digest, ImageTag};

/// An engine in memory. An image it has no script for is built, imported, pushed or run with success.
#[derive(Default)]
pub struct Fake(Mutex<State>);

/// What a container does.
#[derive(Debug, Clone)]
pub struct Run {
    /// What it prints.
    pub output: Vec<u8>,
    /// How it ends; `None` where it runs until it is killed.
    pub exit: Option<ContainerExit>,
    /// What it prints when it is asked to end, and then does; `None` where it goes on.
    pub farewell: Option<Vec<u8>>,
    /// The files it holds at its end, by absolute path.
    pub files: BTreeMap<String, Vec<u8>>,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            output: Vec::new(),
            exit: Some(ContainerExit {
                code: 0,
                out_of_memory: false,
            }),
            farewell: None,
            files: BTreeMap::new(),
        }
    }
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    requests: Vec<BuildRequest>,
    tags: BTreeMap<String, Digest>,
    images: BTreeMap<Digest, Image>,
    remote: BTreeMap<String, Image>,
    failures: BTreeMap<&'static str, VecDeque<EngineError>>,
    runs: VecDeque<Run>,
    pushes: VecDeque<Digest>,
    containers: BTreeMap<String, Kept>,
    builds_hang: bool,
}

struct Kept {
    run: Run,
    labels: BTreeMap<String, String>,
    exit: watch::Sender<Option<ContainerExit>>,
}

/// The end of a container that was asked to.
const TERMINATED: ContainerExit = ContainerExit {
    code: 143,
    out_of_memory: false,
};

/// The end of a container that was killed.
const KILLED: ContainerExit = ContainerExit {
    code: 137,
    out_of_memory: false,
};

impl Kept {
    /// Ends the container, unless it has ended already.
    fn end(&self, how: ContainerExit) {
        self.exit.send_if_modified(|exit| {
            let running = exit.is_none();
            exit.get_or_insert(how);
            running
        });
    }
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

    /// Gives the engine an image named `reference` with these labels; answers its ID.
    pub fn add_image(&self, reference: &str, labels: BTreeMap<String, String>) -> Digest {
        let image = made_up(reference, labels);
        let id = image.id.clone();
        let mut state = self.state();
        state.tags.insert(reference.to_owned(), id.clone());
        state.images.insert(id.clone(), image);
        id
    }

    /// Gives the registry an image that can be pulled as `reference`; answers its ID.
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

    /// The manifest digest that the next push without one answers.
    pub fn script_push(&self, digest: Digest) {
        self.state().pushes.push_back(digest);
    }

    /// Lets the next call of `method` (a name of [`Engine`]'s, e.g. `build`) end with `error`.
    pub fn script_failure(&self, method: &'static str, error: EngineError) {
        self.state().failures.entry(method).or_default().push_back(error);
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
impl Engine for Fake {
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        Ok(self.call("image", reference)?.find(reference).cloned())
    }

    async fn pull(&self, reference: &str, _: Option<Credentials>, _: &dyn Sink) -> Result<Image, EngineError> {
        let mut state = self.call("pull", reference)?;
        let image = state.remote.get(reference).cloned();
        let image = image.ok_or_else(|| refused(format!("pull {reference}"), "manifest unknown"))?;
        state.keep(reference.to_owned(), image.clone());
        Ok(image)
    }

    async fn build(&self, request: BuildRequest, _: &dyn Sink) -> Result<Digest, EngineError> {
        let hangs = self.state().builds_hang;
        if hangs {
            std::future::pending::<()>().await;
        }
        let tags = request.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        let flag = if request.no_cache { " without cache" } else { "" };
        let mut state = self.call("build", &format!("{} as {}{flag}", request.image, tags.join(" ")))?;
        state.requests.push(request.clone());
        // Equal requests give equal images, and others give others.
        let image = made_up(&format!("{}{:?}", request.dockerfile, request.args), request.labels);
        for tag in tags {
            state.keep(tag, image.clone());
        }
        let id = image.id.clone();
        state.images.insert(id.clone(), image);
        Ok(id)
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

    async fn push(&self, tag: &ImageTag, _: Option<Credentials>, _: &dyn Sink) -> Result<Digest, EngineError> {
        let mut state = self.call("push", &tag.to_string())?;
        let Some(id) = state.tags.get(&tag.to_string()).cloned() else {
            return Err(refused(format!("push {tag}"), "no such image"));
        };
        let scripted = state.pushes.pop_front();
        Ok(scripted.unwrap_or_else(|| Digest::of(format!("the manifest of {id}").as_bytes())))
    }

    async fn start(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let words = format!("{} {}", request.image, request.command.join(" "));
        let mut state = self.call("start", words.trim_end())?;
        if state.find(&request.image).is_none() {
            let action = format!("start a container of {}", request.image);
            return Err(refused(action, "no such image"));
        }
        let run = state.runs.pop_front().unwrap_or_default();
        let started = state.calls.iter().filter(|call| call.starts_with("start ")).count();
        let id = format!("container-{started}");
        let kept = Kept {
            exit: watch::Sender::new(run.exit),
            labels: request.labels.clone(),
            run,
        };
        state.containers.insert(id.clone(), kept);
        Ok(Container { id })
    }

    async fn follow(&self, container: &Container, output: mpsc::Sender<Vec<u8>>) -> Result<(), EngineError> {
        let (run, mut exit) = {
            let state = self.call("follow", &container.id)?;
            let kept = state.container("follow", container)?;
            (kept.run.clone(), kept.exit.subscribe())
        };
        // A receiver that is gone, and a container that is removed, both end it.
        if output.send(run.output).await.is_ok() {
            let ended = tokio::select! {
                ended = exit.wait_for(Option::is_some) => ended.ok().and_then(|exit| *exit),
                () = output.closed() => None,
            };
            if let Some(farewell) = run.farewell.filter(|_| ended == Some(TERMINATED)) {
                let _ = output.send(farewell).await;
            }
        }
        Ok(())
    }

    async fn wait(&self, container: &Container) -> Result<ContainerExit, EngineError> {
        let mut exit = {
            let state = self.call("wait", &container.id)?;
            state.container("wait for", container)?.exit.subscribe()
        };
        let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| *exit);
        ended.ok_or_else(|| refused(format!("wait for {}", container.id), "no such container"))
    }

    async fn terminate(&self, container: &Container) -> Result<(), EngineError> {
        let state = self.call("terminate", &container.id)?;
        let kept = state.containers.get(&container.id);
        if let Some(kept) = kept.filter(|kept| kept.run.farewell.is_some()) {
            kept.end(TERMINATED);
        }
        Ok(())
    }

    async fn kill(&self, container: &Container) -> Result<(), EngineError> {
        let state = self.call("kill", &container.id)?;
        if let Some(kept) = state.containers.get(&container.id) {
            kept.end(KILLED);
        }
        Ok(())
    }

    async fn copy_out(
        &self,
        container: &Container,
        path: &str,
        destination: PathBuf,
        limit: u64,
    ) -> Result<bool, EngineError> {
        let state = self.call("copy_out", &format!("{} {path}", container.id))?;
        let below = format!("{}/", path.trim_end_matches('/'));
        let (mut left, mut fitted) = (limit, true);
        for (file, content) in &state.container("copy out of", container)?.run.files {
            let Some(name) = file.strip_prefix(&below) else {
                continue;
            };
            let size = content.len() as u64;
            if size > left {
                fitted = false;
                continue;
            }
            left -= size;
            let target = destination.join(name);
            let failed = |source| EngineError::File {
                path: target.clone(),
                source,
            };
            fs::create_dir_all(target.parent().unwrap_or(&destination)).map_err(failed)?;
            fs::write(&target, content).map_err(failed)?;
        }
        Ok(fitted)
    }

    async fn remove(&self, container: &Container) -> Result<(), EngineError> {
        self.call("remove", &container.id)?.containers.remove(&container.id);
        Ok(())
    }

    async fn remove_image(&self, id: &Digest) -> Result<(), EngineError> {
        self.call("remove_image", id.as_str())?
            .images
            .retain(|_, image| image.id != *id);
        Ok(())
    }

    async fn containers(&self, label: &str) -> Result<Vec<Found>, EngineError> {
        let state = self.call("containers", label)?;
        let labelled = state.containers.iter().filter(|(_, kept)| {
            let plain = kept.labels.contains_key(label);
            plain
                || label
                    .split_once('=')
                    .is_some_and(|(name, value)| kept.labels.get(name).is_some_and(|v| v == value))
        });
        let found = labelled.map(|(id, kept)| Found {
            id: id.clone(),
            labels: kept.labels.clone(),
            running: kept.exit.borrow().is_none(),
        });
        Ok(found.collect())
    }
}

impl State {
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
        temporary: false,
    }
}

/// An image whose ID follows from its content.
fn made_up(content: &str, labels: BTreeMap<String, String>) -> Image {
    Image {
        id: Digest::of(format!("{content}{labels:?}").as_bytes()),
        layers: vec![Digest::of(content.as_bytes())],
        labels,
        command: Vec::new(),
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        size: content.len() as u64,
    }
}

#[cfg(test)]
mod tests;
