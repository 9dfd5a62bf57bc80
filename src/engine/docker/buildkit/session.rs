//! The session that a build calls back into: secrets and files are asked for here, when a step needs them.

use std::collections::BTreeMap;

use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::FileSyncServer;
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::SshServer;
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

/// Bytes of a frame, and of what a step may have sent that nobody has read yet: layers come through here.
const FRAME: u32 = 1 << 20;
const WINDOW: u32 = 16 << 20;

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
        let service = TowerToHyperService::new(self.routes.prepare());
        // A connection that breaks also breaks the build, which reports it.
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .max_frame_size(FRAME)
            .initial_stream_window_size(WINDOW)
            .initial_connection_window_size(WINDOW)
            .serve_connection(self.connection, service)
            .await;
    }
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
