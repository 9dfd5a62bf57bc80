//! A place to work in on the real engine: images and containers of its own, removed at its end.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;

use floe::context::Context;
use floe::engine::{self, BuildRequest, Container, ContainerRequest, Directions, Engine, EngineError};
use floe::event::{Event, Memory};
use floe::reference::{Digest, ImageTag};

use crate::rootfs;

/// The label of everything that the tests create, with the bench's name as its value.
pub const LABEL: &str = "org.floe.test";

/// A place to work in.
pub struct Bench {
    /// The engine.
    pub docker: Arc<dyn Engine>,
    /// A directory for the context of builds.
    pub files: tempfile::TempDir,
    /// An image with a shell.
    pub base: ImageTag,
    /// Sets this bench apart from all others.
    pub name: String,
}

impl Bench {
    /// Connects to the engine and gives it an image with a shell.
    pub async fn new() -> Self {
        let docker = engine::connect(&Directions::default())
            .await
            .expect("these tests need a container engine");
        let name = uuid::Uuid::new_v4().simple().to_string();
        let base = ImageTag {
            repository: format!("floe-test/{name}"),
            tag: "base".to_owned(),
        };
        let scratch = tempfile::tempdir().unwrap();
        let archive = scratch.path().join("rootfs.tar");
        rootfs::write(&archive, &name);
        docker.import(archive, &base, &BTreeMap::new()).await.unwrap();
        Self {
            docker,
            files: tempfile::tempdir().unwrap(),
            base,
            name,
        }
    }

    /// A tag of this bench's own.
    pub fn tag(&self, tag: &str) -> ImageTag {
        ImageTag {
            repository: self.base.repository.clone(),
            tag: tag.to_owned(),
        }
    }

    /// A request to build `lines` on the image with a shell.
    pub fn request(&self, tag: &str, lines: &str) -> BuildRequest {
        BuildRequest {
            image: "test".to_owned(),
            dockerfile: format!("FROM {}\n{lines}\n", self.base),
            context: Context::new(self.files.path()),
            args: BTreeMap::new(),
            mounts: BTreeMap::new(),
            labels: BTreeMap::new(),
            tags: vec![self.tag(tag)],
            no_cache: false,
        }
    }

    /// Builds; returns the result and the events.
    pub async fn build(&self, request: BuildRequest) -> (Result<Digest, EngineError>, Vec<Event>) {
        let events = Memory::default();
        let built = self.docker.build(request, &events).await;
        (built, events.events())
    }

    /// A container of the image with a shell that runs `script`.
    pub async fn start(&self, script: &str) -> Container {
        self.docker.start(&self.shell(script)).await.unwrap()
    }

    /// A request for a container of the image with a shell that runs `script`.
    pub fn shell(&self, script: &str) -> ContainerRequest {
        ContainerRequest {
            image: self.base.to_string(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            labels: BTreeMap::from([(LABEL.to_owned(), self.name.clone())]),
            ..ContainerRequest::default()
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let list = |arguments: &[&str]| {
            let listed = Command::new("docker").args(arguments).output().unwrap();
            String::from_utf8_lossy(&listed.stdout).into_owned()
        };
        let containers = list(&["ps", "-aq", "--filter", &format!("label={LABEL}={}", self.name)]);
        for container in containers.split_whitespace() {
            list(&["rm", "-f", "-v", container]);
        }
        let images = list(&["images", "--format", "{{.Repository}}:{{.Tag}}", &self.base.repository]);
        for image in images.split_whitespace() {
            list(&["rmi", "-f", image]);
        }
    }
}

/// What the steps of a build printed.
pub fn printed(events: &[Event]) -> String {
    let texts = events.iter().filter_map(|event| match event {
        Event::StepOutput { text, .. } => Some(text.as_str()),
        _ => None,
    });
    texts.collect()
}
