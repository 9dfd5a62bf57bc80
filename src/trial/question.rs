//! A question to the host's own agent, alone in a container of an image in which nothing else runs.

use std::path::Path;

use tokio::sync::mpsc;

use super::Mark;
use crate::engine::{Container, ContainerRequest, Containers, EngineError, SharedProgram};
use crate::image::AGENT;
use crate::reference::Digest;

/// What is asked, and of which image.
#[derive(Debug)]
pub struct Question<'a> {
    /// The ID of the image.
    pub image: &'a Digest,
    /// The host's own program.
    pub agent: &'a Path,
    /// What the container is marked with.
    pub mark: Mark<'a>,
    /// A limit on its memory, in bytes.
    pub memory: Option<u64>,
    /// The applet, and its arguments.
    pub words: Vec<String>,
    /// More bytes than these are no answer.
    pub longest: usize,
}

impl Question<'_> {
    /// What the agent says: data, which the image may have had a part in. `None` if it says too much.
    pub async fn ask(&self, engine: &dyn Containers) -> Result<Option<Vec<u8>>, EngineError> {
        let request = ContainerRequest {
            image: self.image.to_string(),
            entrypoint: Some([AGENT, "applet"].map(str::to_owned).to_vec()),
            command: self.words.clone(),
            program: Some(SharedProgram::of(self.agent)?),
            labels: self.mark.labels(),
            memory: self.memory,
            ..ContainerRequest::default()
        };
        let container = engine.start(&request).await?;
        let said = self.listen(engine, &container).await;
        engine.remove(&container).await?;
        said
    }

    async fn listen(&self, engine: &dyn Containers, container: &Container) -> Result<Option<Vec<u8>>, EngineError> {
        let (sender, mut receiver) = mpsc::channel::<Vec<u8>>(16);
        let take = async {
            let mut said = Vec::new();
            while let Some(bytes) = receiver.recv().await {
                if said.len() <= self.longest {
                    said.extend(bytes);
                }
            }
            said
        };
        let (followed, said) = tokio::join!(engine.follow(container, sender), take);
        followed?;
        engine.wait(container).await?;
        Ok(Some(said).filter(|said| said.len() <= self.longest))
    }
}
