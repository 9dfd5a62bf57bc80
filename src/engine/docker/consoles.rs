//! Containers of Docker that a person, or a pipe, is attached to.
//!
//! The connection that becomes a container's streams is floe's own: bollard takes the first byte of what a terminal shows
//! for the head of a frame where it is small enough.

use std::path::PathBuf;
use std::pin::pin;

use async_trait::async_trait;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder};
use bytes::{Buf as _, Bytes, BytesMut};
use futures_util::StreamExt as _;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, split};
use tokio::sync::mpsc;

use super::archive::unpack_whole;
use super::containers::about;
use super::error::status;
use super::{Docker, creation};
use crate::context::Context;
use crate::engine::{Attached, Consoles, Container, ContainerRequest, EngineError, Pieces, Size, Written};
use crate::fault::Trouble;

/// Keys that leave a container to itself, as the engine looks for them in what is typed: such that nobody types them.
/// Docker's own begin with Ctrl-P, which shells need.
const DETACH_KEYS: &str = "ctrl-%5E,ctrl-%40,ctrl-%5E,ctrl-%40";

/// Bytes that are read of a container at once.
const PIECE: usize = 32 * 1024;

/// The length of what stands before each piece, where a container has no terminal.
const HEAD: usize = 8;

/// The kind of a piece of the standard error.
const ERROR: u8 = 2;

#[async_trait]
impl Consoles for Docker {
    async fn create(&self, request: &ContainerRequest) -> Result<Container, EngineError> {
        self.created(request).await
    }

    async fn give(&self, container: &Container, directory: &str, files: &Context) -> Result<(), EngineError> {
        let put = creation::put(&self.api, &container.id, directory, files).await?;
        put.map_err(|error| self.failed(about(&format!("put files into {directory} of"), container), error))
    }

    async fn fetch(&self, container: &Container, path: &str, into: PathBuf) -> Result<bool, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut archive = pin!(self.api.download_from_container(&container.id, Some(options)));
        let (sender, arriving) = mpsc::channel(4);
        let place = into.clone();
        let unpacking = tokio::task::spawn_blocking(move || unpack_whole(Pieces::new(arriving), &place));
        while let Some(piece) = archive.next().await {
            match piece {
                Ok(piece) => {
                    // A reader that is gone has stopped for a reason, which it returns below.
                    if sender.send(Ok(piece)).await.is_err() {
                        break;
                    }
                }
                Err(error) if status(&error) == Some(404) => return Ok(false),
                Err(error) => {
                    // A cut archive must not look like a whole one to the reader.
                    let _ = sender.send(Err(std::io::ErrorKind::ConnectionAborted.into())).await;
                    return Err(self.failed(about(&format!("copy {path} out of"), container), error));
                }
            }
        }
        drop(sender);
        let unpacked = unpacking.await.map_err(|error| EngineError::File {
            path: into,
            source: std::io::Error::other(error),
        })?;
        unpacked.map(|()| true)
    }

    async fn attach(&self, container: &Container, terminal: bool) -> Result<Attached, EngineError> {
        let path = format!(
            "/containers/{}/attach?stream=1&stdin=1&stdout=1&stderr=1&detachKeys={DETACH_KEYS}",
            container.id
        );
        let streams = self.transport.hijack(&path).await;
        let streams =
            streams.map_err(|error| self.own(self.transport.failed(about("attach to", container), &error)))?;
        let (reader, writer) = split(TokioIo::new(streams));
        let (sender, output) = mpsc::channel(16);
        let lost = about("read from", container);
        tokio::spawn(async move {
            let read = if terminal {
                pass_bare(reader, &sender).await
            } else {
                pass_framed(reader, &sender).await
            };
            if let Err(error) = read {
                let error = EngineError::Request {
                    action: lost,
                    reason: error.to_string(),
                    trouble: Trouble::Lost,
                };
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(Attached {
            input: Box::new(writer),
            output,
        })
    }

    async fn begin(&self, container: &Container) -> Result<(), EngineError> {
        let started = self.api.start_container(&container.id, None).await;
        started.map_err(|error| self.failed(about("start", container), error))
    }

    async fn resize(&self, container: &Container, size: Size) -> Result<(), EngineError> {
        let options = ResizeContainerTTYOptionsBuilder::default()
            .h(size.rows.into())
            .w(size.columns.into())
            .build();
        let resized = self.api.resize_container_tty(&container.id, options).await;
        resized.map_err(|error| self.gone("resize the terminal of", container, error))
    }

    async fn signal(&self, container: &Container, signal: &str) -> Result<(), EngineError> {
        self.send(container, signal).await
    }
}

type Sender = mpsc::Sender<Result<Written, EngineError>>;

/// Passes on what a terminal shows.
async fn pass_bare(mut reader: impl AsyncRead + Unpin, sender: &Sender) -> std::io::Result<()> {
    loop {
        let mut piece = BytesMut::with_capacity(PIECE);
        if reader.read_buf(&mut piece).await? == 0 || !pass(Written::Output(piece.freeze()), sender).await {
            return Ok(());
        }
    }
}

/// Passes on pieces of standard output and error: each stands behind its kind and its length.
async fn pass_framed(mut reader: impl AsyncRead + Unpin, sender: &Sender) -> std::io::Result<()> {
    let mut buffer = BytesMut::with_capacity(PIECE);
    // What is left of the piece that has begun, and whether it is one of the standard error.
    let (mut left, mut is_error) = (0, false);
    loop {
        while left == 0 && buffer.len() >= HEAD {
            is_error = buffer[0] == ERROR;
            buffer.advance(4);
            left = buffer.get_u32() as usize;
        }
        if left > 0 && !buffer.is_empty() {
            let piece: Bytes = buffer.split_to(left.min(buffer.len())).freeze();
            left -= piece.len();
            let written = if is_error {
                Written::Error(piece)
            } else {
                Written::Output(piece)
            };
            if !pass(written, sender).await {
                return Ok(());
            }
            continue;
        }
        buffer.reserve(PIECE);
        if reader.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// Whether somebody still listens.
async fn pass(written: Written, sender: &Sender) -> bool {
    sender.send(Ok(written)).await.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_keeps_its_kind_wherever_the_connection_cuts_it() {
        let whole = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err\x01\0\0\0\0\0\0\0";
        for cut in 0..whole.len() {
            let (sender, mut output) = mpsc::channel(16);
            let reader = AsyncReadExt::chain(&whole[..cut], &whole[cut..]);
            pass_framed(reader, &sender).await.unwrap();
            drop(sender);
            let mut told = (Vec::new(), Vec::new());
            while let Some(piece) = output.recv().await {
                match piece.unwrap() {
                    Written::Output(bytes) => told.0.extend(bytes),
                    Written::Error(bytes) => told.1.extend(bytes),
                }
            }
            assert_eq!(told, (b"out".to_vec(), b"err".to_vec()), "cut at {cut}");
        }
    }
}
