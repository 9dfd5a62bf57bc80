//! As much of a hub as a single-user server asks for while nobody logs in: its version, whom a token belongs to, and an
//! ear for its activity.
//!
//! The variables are those of `Spawner.get_env` in JupyterHub 5, which names them in
//! <https://jupyterhub.readthedocs.io/en/stable/reference/spawners.html>.

use std::convert::Infallible;
use std::io;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The person whose server it is.
const USER: &str = "floe";

/// The version that the hub claims. Servers of other versions complain about it in their log, and work.
const VERSION: &str = "5.0.0";

/// A hub on a port of its own. Dropping it closes it.
#[derive(Debug)]
pub struct Hub {
    token: String,
    port: u16,
    server: u16,
    serving: JoinHandle<()>,
}

impl Hub {
    /// Opens a hub for the server that will listen on the port `server`.
    pub async fn open(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let token = uuid::Uuid::new_v4().simple().to_string();
        let serving = tokio::spawn(serve(listener, token.clone()));
        Ok(Self {
            token,
            port,
            server,
            serving,
        })
    }

    /// The token that the hub vouches for.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The path of everything that the server offers.
    pub fn prefix() -> String {
        format!("/user/{USER}/")
    }

    /// What a spawner sets in the server's environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let prefix = Self::prefix();
        let api = format!("http://127.0.0.1:{}/hub/api", self.port);
        let scopes = json!([access("server"), access("user")]).to_string();
        vec![
            ("JUPYTERHUB_ACTIVITY_URL", format!("{api}/users/{USER}/activity")),
            ("JUPYTERHUB_API_TOKEN", self.token.clone()),
            ("JUPYTERHUB_API_URL", api),
            ("JUPYTERHUB_BASE_URL", "/".to_owned()),
            ("JUPYTERHUB_CLIENT_ID", format!("jupyterhub-user-{USER}")),
            ("JUPYTERHUB_HOST", String::new()),
            ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", scopes.clone()),
            ("JUPYTERHUB_OAUTH_CALLBACK_URL", format!("{prefix}oauth_callback")),
            ("JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES", "[]".to_owned()),
            ("JUPYTERHUB_OAUTH_SCOPES", scopes),
            ("JUPYTERHUB_SERVER_NAME", String::new()),
            ("JUPYTERHUB_SERVICE_PREFIX", prefix.clone()),
            (
                "JUPYTERHUB_SERVICE_URL",
                format!("http://0.0.0.0:{}{prefix}", self.server),
            ),
            ("JUPYTERHUB_USER", USER.to_owned()),
            ("JPY_API_TOKEN", self.token.clone()),
        ]
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, token: String) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let token = token.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let answer = answer(&request, &token);
            async move { Ok::<_, Infallible>(answer) }
        });
        connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        while connections.try_join_next().is_some() {}
    }
}

fn answer(request: &Request<Incoming>, token: &str) -> Response<Full<Bytes>> {
    let known = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(kind, given)| matches!(kind, "token" | "Bearer") && given == token);
    let (status, body) = match request.uri().path() {
        "/hub/api" | "/hub/api/" => (StatusCode::OK, json!({"version": VERSION})),
        _ if !known => (
            StatusCode::FORBIDDEN,
            json!({"status": 403, "message": "no such token"}),
        ),
        "/hub/api/user" => (
            StatusCode::OK,
            json!({
                "kind": "user",
                "name": USER,
                "admin": false,
                "groups": [],
                "scopes": [access("server"), access("user")],
            }),
        ),
        _ => (StatusCode::OK, json!({})),
    };
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The scope that lets a person in: to one server, or to all of hers.
fn access(what: &str) -> String {
    match what {
        "server" => format!("access:servers!server={USER}/"),
        _ => format!("access:servers!user={USER}"),
    }
}
