//! Containers in memory that somebody is attached to.

use std::fs;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Fake;
use crate::context::Context;
use crate::engine::{Attached, Consoles, Container, ContainerRequest, EngineError, Size, Written};

#[async_trait]
impl Consoles for Fake {
    async fn create(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        let container = self.keep_container("create", request)?;
        self.state().containers[&container.id].exit.send_replace(None);
        Ok(container)
    }

    async fn give(&self, container: &Container, directory: &str, files: &Context) -> Result<(), EngineError> {
        let entries = files.entries()?;
        let names = entries.iter().map(|entry| entry.path.display().to_string());
        let words = format!("{} {directory}: {}", container.id, names.collect::<Vec<_>>().join(" "));
        self.call("give", &words).map(drop)
    }

    async fn fetch(&self, container: &Container, path: &str, into: PathBuf) -> Result<bool, EngineError> {
        let state = self.call("fetch", &format!("{} {path}", container.id))?;
        let kept = state.container("copy out of", container)?;
        let Some(content) = kept.run.files.get(path) else {
            return Ok(false);
        };
        let target = into.join(Path::new(path).file_name().unwrap_or_default());
        fs::write(&target, content).map_err(|source| EngineError::File { path: target, source })?;
        Ok(true)
    }

    async fn attach(&self, container: &Container, _: bool) -> Result<Attached, EngineError> {
        let (first, mut exit) = {
            let state = self.call("attach", &container.id)?;
            let kept = state.container("attach to", container)?;
            (kept.output.clone(), kept.exit.subscribe())
        };
        let (sender, output) = mpsc::channel(4);
        tokio::spawn(async move {
            let _ = sender.send(Ok(Written::Output(first.into()))).await;
            let _ = exit.wait_for(Option::is_some).await;
        });
        Ok(Attached {
            input: Box::new(tokio::io::sink()),
            output,
        })
    }

    async fn begin(&self, container: &Container) -> Result<(), EngineError> {
        let state = self.call("begin", &container.id)?;
        let kept = state.container("start", container)?;
        kept.exit.send_replace(kept.run.exit);
        Ok(())
    }

    async fn resize(&self, container: &Container, size: Size) -> Result<(), EngineError> {
        self.call("resize", &format!("{} {}x{}", container.id, size.columns, size.rows))
            .map(drop)
    }

    async fn signal(&self, container: &Container, signal: &str) -> Result<(), EngineError> {
        self.call("signal", &format!("{} {signal}", container.id)).map(drop)
    }
}
