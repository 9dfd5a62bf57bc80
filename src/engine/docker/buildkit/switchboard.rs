//! Connections from the steps of a build to the host.
//!
//! BuildKit forwards the socket of an SSH agent into a `RUN`, byte by byte in both directions. What speaks there need not be
//! SSH.

use std::pin::Pin;

use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::Ssh;
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use bytes::BytesMut;
use futures_util::{Stream, stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex, split};
use tonic::{Request, Response, Status, Streaming};

use crate::engine::Connections;

/// Bytes that lie between a step and who reads them.
const BUFFER: usize = 1 << 20;

/// Bytes of a message to a step.
const PIECE: usize = 32 * 1024;

/// Takes the connections that steps open, where anybody waits for them.
pub(super) struct Switchboard(pub Option<Connections>);

#[tonic::async_trait]
impl Ssh for Switchboard {
    type ForwardAgentStream = Pin<Box<dyn Stream<Item = Result<BytesMessage, Status>> + Send>>;

    async fn check_agent(&self, _: Request<CheckAgentRequest>) -> Result<Response<CheckAgentResponse>, Status> {
        match &self.0 {
            Some(_) => Ok(Response::new(CheckAgentResponse {})),
            None => Err(Status::not_found("no agent of SSH is forwarded to the build")),
        }
    }

    async fn forward_agent(
        &self,
        request: Request<Streaming<BytesMessage>>,
    ) -> Result<Response<Self::ForwardAgentStream>, Status> {
        let gone = || Status::unavailable("nobody takes connections of this build");
        let connections = self.0.as_ref().ok_or_else(gone)?;
        let (ours, theirs) = duplex(BUFFER);
        connections.send(theirs).await.map_err(|_| gone())?;
        let (said, mut heard) = split(ours);
        let mut arriving = request.into_inner();
        // It ends with the step's side of the connection, or with the build.
        tokio::spawn(async move {
            while let Ok(Some(message)) = arriving.message().await {
                if heard.write_all(&message.data).await.is_err() {
                    break;
                }
            }
            let _ = heard.shutdown().await;
        });
        let answers = stream::try_unfold(said, |mut said| async move {
            let mut piece = BytesMut::with_capacity(PIECE);
            let read = said.read_buf(&mut piece).await?;
            let message = BytesMessage { data: piece.to_vec() };
            Ok((read > 0).then_some((message, said)))
        });
        Ok(Response::new(Box::pin(answers)))
    }
}
