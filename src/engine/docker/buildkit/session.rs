//! The session that a build calls back into: secrets and files are asked for here, when a step needs them.

use std::collections::BTreeMap;

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use tokio_stream::Empty;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::super::transport::{Broken, Transport};
use super::filesync::{Failure, Files};
use super::switchboard::Switchboard;
use crate::engine::{BuildRequest, Connections};
use crate::reference::Digest;

/// Bytes of a frame: layers come through here.
const FRAME: u32 = 1 << 20;

/// Bytes that a step may have sent and nobody has read yet.
const WINDOW: u32 = 16 << 20;

/// Bytes that all steps may. It is never reached: steps that wait must not keep the engine from asking whether anybody is there,
/// which it does every second, and from an answer that takes ten it concludes that nobody is.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// An open session. The engine gives up the build when it is dropped.
pub(super) struct Session {
    /// The session's name, which the build refers to.
    pub id: String,
    connection: Upgraded,
    routes: Routes,
    failure: Failure,
}

impl Session {
    /// Opens a session that offers what `request` holds, and passes on the connections that its steps open.
    pub async fn open(
        transport: &Transport,
        request: &BuildRequest,
        connections: Option<Connections>,
    ) -> Result<Self, Broken> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        // The engine keeps the files of an earlier session with the same key, and asks only for what differs.
        let key = Digest::of(request.context.root().as_os_str().as_encoded_bytes());
        let connection = transport
            .upgrade(
                "/session",
                &[
                    ("X-Docker-Expose-Session-Uuid", &id),
                    ("X-Docker-Expose-Session-Name", "floe"),
                    ("X-Docker-Expose-Session-Sharedkey", key.as_str()),
                    (
                        "X-Docker-Expose-Session-Grpc-Method",
                        "/moby.filesync.v1.FileSync/DiffCopy",
                    ),
                    (
                        "X-Docker-Expose-Session-Grpc-Method",
                        "/moby.buildkit.secrets.v1.Secrets/GetSecret",
                    ),
                    (
                        "X-Docker-Expose-Session-Grpc-Method",
                        "/moby.sshforward.v1.SSH/CheckAgent",
                    ),
                    (
                        "X-Docker-Expose-Session-Grpc-Method",
                        "/moby.sshforward.v1.SSH/ForwardAgent",
                    ),
                    ("X-Docker-Expose-Session-Grpc-Method", "/grpc.health.v1.Health/Check"),
                ],
            )
            .await?;
        let failure = Failure::default();
        let files = Files::new(request.context.clone(), request.dockerfile.clone(), failure.clone());
        let routes = Routes::new(HealthServer::new(Alive))
            .add_service(SecretsServer::new(Vault(request.mounts.clone())))
            .add_service(FileSyncServer::new(files))
            .add_service(SshServer::new(Switchboard(connections)));
        Ok(Self {
            id,
            connection,
            routes,
            failure,
        })
    }

    /// Where to look for the reason when the build fails.
    pub fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// Answers the engine until it closes the connection.
    pub async fn serve(self) {
        answer(self.connection, self.routes).await;
    }
}

async fn answer(connection: impl Read + Write + Unpin, routes: Routes) {
    let service = TowerToHyperService::new(routes.prepare());
    // A connection that breaks also breaks the build, which reports it.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .max_frame_size(FRAME)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .serve_connection(connection, service)
        .await;
}

struct Vault(BTreeMap<String, Vec<u8>>);

#[tonic::async_trait]
impl Secrets for Vault {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let id = &request.get_ref().id;
        match self.0.get(id) {
            Some(data) => Ok(Response::new(GetSecretResponse { data: data.clone() })),
            None => Err(Status::not_found(format!("no secret {id} was given to the build"))),
        }
    }
}

struct Alive;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Empty<Result<HealthCheckResponse, Status>>;

    async fn check(&self, _: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse {
            status: ServingStatus::Serving.into(),
        }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("only a single check is answered"))
    }

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("only a single check is answered"))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bollard_buildkit_proto::health::health_client::HealthClient;
    use bollard_buildkit_proto::moby::sshforward::v1::BytesMessage;
    use bollard_buildkit_proto::moby::sshforward::v1::ssh_client::SshClient;
    use futures_util::stream;
    use hyper_util::rt::TokioIo;
    use tokio::io::duplex;
    use tokio::sync::mpsc;
    use tokio::time::{sleep, timeout};
    use tonic::transport::Endpoint;

    use super::*;

    #[tokio::test]
    async fn the_engine_is_answered_while_nobody_reads_what_steps_send() {
        let (ours, theirs) = duplex(1 << 20);
        let (connections, mut arriving) = mpsc::channel(2);
        let routes = Routes::new(HealthServer::new(Alive)).add_service(SshServer::new(Switchboard(Some(connections))));
        tokio::spawn(answer(TokioIo::new(ours), routes));
        let mut theirs = Some(TokioIo::new(theirs));
        let connector = tower::service_fn(move |_| {
            let theirs = theirs
                .take()
                .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
            async { theirs }
        });
        let endpoint = Endpoint::from_static("http://session");
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let mut unread = Vec::new();
        for _ in 0..2 {
            let (mut step, count) = (SshClient::new(channel.clone()), sent.clone());
            let pieces = std::iter::repeat_with(move || {
                count.fetch_add(1, Ordering::Relaxed);
                BytesMessage { data: vec![0; 1 << 20] }
            });
            tokio::spawn(async move { step.forward_agent(stream::iter(pieces)).await });
            unread.push(arriving.recv().await.unwrap());
        }
        // Until there is no room for more.
        let mut before = 0;
        while before < sent.load(Ordering::Relaxed) {
            before = sent.load(Ordering::Relaxed);
            sleep(Duration::from_millis(500)).await;
        }
        let mut engine = HealthClient::new(channel);
        let check = engine.check(HealthCheckRequest::default());
        timeout(Duration::from_secs(9), check)
            .await
            .expect("nobody answers")
            .unwrap();
    }
}
