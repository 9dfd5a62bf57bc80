//! Builds of an engine in memory.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufStream, DuplexStream, duplex};
use tokio::net::UnixStream;

use super::{Fake, made_up};
use crate::engine::{BuildRequest, Builds, Connection, Connections, EngineError};
use crate::event::Sink;
use crate::image::applet::ENV_SOLVE;
use crate::image::assembly::{Offer, Offered, Sent, Wanted};
use crate::reference::{Digest, EnvironmentName};

/// How a step hands an environment over.
#[derive(Debug, Clone)]
pub struct Handing {
    /// The environment.
    pub environment: EnvironmentName,
    /// Its layers, and whether their digests are known before they are sent.
    pub layers: Vec<(Vec<u8>, bool)>,
    /// Why it cannot be assembled, if it cannot.
    pub unable: Option<String>,
    /// Whether it breaks off in the middle of its first layer.
    pub breaks: bool,
    /// Whether it listens at a door, which is called as the environment is.
    pub has_door: bool,
}

impl Handing {
    async fn carry_out(self, fake: &Fake, connection: DuplexStream) -> Option<()> {
        let Self {
            environment,
            layers,
            unable,
            breaks,
            has_door,
        } = self;
        let mut connection: BufStream<Box<dyn Connection>> = BufStream::new(Box::new(connection));
        let door = has_door.then(|| PathBuf::from(environment.as_str()));
        let offer = match unable {
            Some(reason) => Offer::Unable { environment, reason },
            None => Offer::Layers {
                environment,
                layers: layers.iter().map(|(bytes, known)| offered(bytes, *known)).collect(),
                door: door.clone(),
            },
        };
        say(&mut connection, &offer).await?;
        let mut answer = String::new();
        connection.read_line(&mut answer).await.ok()?;
        let wanted = serde_json::from_str::<Wanted>(&answer).ok()?;
        let _kept = if wanted.by_door {
            let admitted = fake.state().admitted.remove(&door?)?;
            Some(std::mem::replace(&mut connection, BufStream::new(Box::new(admitted))))
        } else {
            None
        };
        for index in wanted.layers {
            let bytes = &layers[index].0;
            drop(fake.call("hand over", &String::from_utf8_lossy(bytes)).ok()?);
            if breaks {
                connection.write_all(&bytes[..bytes.len() / 2]).await.ok()?;
                connection.flush().await.ok()?;
                return None;
            }
            connection.write_all(bytes).await.ok()?;
            let digest = Digest::of(bytes);
            say(&mut connection, &Sent { digest }).await?;
        }
        Some(())
    }
}

fn offered(bytes: &[u8], is_known: bool) -> Offered {
    Offered {
        digest: is_known.then(|| Digest::of(bytes)),
        bytes: bytes.len() as u64,
    }
}

async fn say(connection: &mut BufStream<Box<dyn Connection>>, message: &impl serde::Serialize) -> Option<()> {
    let text = serde_json::to_string(message).ok()? + "\n";
    connection.write_all(text.as_bytes()).await.ok()?;
    connection.flush().await.ok()
}

impl Fake {
    /// Lets the engine take layers, and the steps of the next performance hand these over. What breaks fails it, as an agent does
    /// that ends early.
    pub fn script_performance(&self, handings: Vec<Handing>) {
        self.state().performances.push_back(handings);
    }
}

#[async_trait]
impl Builds for Fake {
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
        if request.dockerfile.contains(ENV_SOLVE) {
            state.solving.insert(id.clone());
        }
        Ok(id)
    }

    async fn perform(&self, request: BuildRequest, connections: Connections, _: &dyn Sink) -> Result<(), EngineError> {
        let handings = self.call("perform", &request.image)?.performances.pop_front();
        let handings = handings.unwrap_or_default();
        let breaks = handings.iter().any(|handing| handing.breaks);
        let mut steps = Vec::new();
        for handing in handings {
            let (ours, theirs) = duplex(1 << 10);
            let _ = connections.send(theirs).await;
            steps.push(handing.carry_out(self, ours));
        }
        drop(connections);
        join_all(steps).await;
        if breaks {
            return Err(super::refused("carry out a step".to_owned(), "exit code: 75"));
        }
        Ok(())
    }

    async fn passage(&self, image: &Digest, door: &Path) -> Result<Option<UnixStream>, EngineError> {
        let mut state = self.call("lead to", &format!("{} by {}", door.display(), image.short()))?;
        let Ok((ours, theirs)) = UnixStream::pair() else {
            return Ok(None);
        };
        state.admitted.insert(door.to_owned(), theirs);
        Ok(Some(ours))
    }
}
