//! One operation's way to the channels: the HTTP client, the channel indices, the packages.
//!
//! rattler asks again by itself when a connection breaks or times out; an error of floe's own type ends that.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use rattler::package_cache::PackageCache;
use rattler_networking::LazyClient;
use rattler_repodata_gateway::Gateway;
use reqwest::{Method, Request, Response};
use reqwest_middleware::{ClientBuilder, Middleware, Next};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tempfile::TempDir;

use super::access::{self, Access};
use super::error::Cause;
use super::{CondaError, Config};
use crate::address::without_user;
use crate::event::{Event, Sink};
use crate::fault::is_temporary_status;

/// How often a request is made again before its failure counts, as with conda.
const RETRIES: u32 = 3;

/// How long a server may be silent, as with conda.
const SILENCE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long to wait before the second attempt; each further one waits twice as long.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The longest pause that a busy server can ask for.
const LONGEST_RETRY_INTERVAL: Duration = Duration::from_secs(20);

/// The way to the channels. Without a configured cache, what was fetched is gone when it is dropped.
pub(super) struct Session<'a> {
    /// What hears of the work.
    pub(super) sink: &'a dyn Sink,
    pub(super) access: Arc<Access>,
    pub(super) client: LazyClient,
    pub(super) gateway: Gateway,
    pub(super) packages: PackageCache,
    /// Where packages are kept.
    pub(super) cache: PathBuf,
    /// Kept files share no storage with an environment: whatever changes one of them would change the other.
    pub(super) keeps: bool,
    /// How often a request is made again.
    pub(super) retries: u32,
    _temporary: Option<TempDir>,
}

impl<'a> Session<'a> {
    pub(super) fn open(config: &Config, access: Access, sink: &'a dyn Sink) -> Result<Self, CondaError> {
        let kept = config.cache.as_deref().filter(|dir| {
            let made = std::fs::create_dir_all(dir).and_then(|()| tempfile::tempfile_in(dir).map(drop));
            if let Err(error) = &made {
                sink.emit(Event::Warning {
                    text: format!("{} cannot be written to, nothing is kept: {error}", dir.display()),
                });
            }
            made.is_ok()
        });
        let temporary = match kept {
            Some(_) => None,
            None => Some(TempDir::with_prefix("floe-conda-").map_err(|source| CondaError::Io {
                path: std::env::temp_dir(),
                source,
            })?),
        };
        let root = match (&temporary, kept) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(kept)) => kept.to_owned(),
            (None, None) => std::env::temp_dir(),
        };
        let access = Arc::new(access);
        let retries = config.retries.unwrap_or(RETRIES);
        let client = LazyClient::from(
            ClientBuilder::new(client(config)?)
                .with(Courier {
                    access: Arc::clone(&access),
                    retries,
                })
                .build(),
        );
        let cache = root.join("pkgs");
        let packages = PackageCache::new(&cache);
        let gateway = Gateway::builder()
            .with_client(client.clone())
            .with_cache_dir(root.join("repodata"))
            .with_package_cache(packages.clone())
            .finish();
        Ok(Self {
            sink,
            access,
            client,
            gateway,
            packages,
            cache,
            keeps: kept.is_some(),
            retries,
            _temporary: temporary,
        })
    }
}

/// A client that needs no certificates of the system it runs on.
fn client(config: &Config) -> Result<reqwest::Client, CondaError> {
    let mut roots = webpki_roots::TLS_SERVER_ROOTS
        .iter()
        .cloned()
        .collect::<rustls::RootCertStore>();
    if let Some(path) = &config.certificates {
        let unreadable = |error: rustls::pki_types::pem::Error| CondaError::Io {
            path: path.clone(),
            source: std::io::Error::other(format!("the site's certificates cannot be read: {error}")),
        };
        for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
            // A bundle of a whole system may hold some that no chain could end in.
            let _ = roots.add(certificate.map_err(unreadable)?);
        }
    }
    let failed = |error: &Cause| CondaError::of("the HTTP client", error, str::to_owned);
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .user_agent(concat!("floe/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(20))
        .read_timeout(config.read_timeout.unwrap_or(SILENCE_TIMEOUT))
        .build()
        .map_err(|error| failed(&error))
}

/// Takes each request to the address that answers for its channel, with credentials, and again where that may help.
struct Courier {
    access: Arc<Access>,
    retries: u32,
}

/// A request that has been made as often as it may be. As an error of its own it is not mistaken for the failure of a
/// single request, which rattler would try again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
struct GaveUp {
    #[source]
    error: reqwest::Error,
}

#[async_trait]
impl Middleware for Courier {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        if let Some(actual) = self.access.actual(request.url()) {
            if let Some((user, password)) = access::credentials(&actual) {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, basic(&user, password.as_deref())?);
            }
            *request.url_mut() = without_user(actual);
        }
        if request.url().scheme() == "file" {
            return from_disk(&request).await;
        }
        let mut retries = 0;
        loop {
            let Some(copy) = request.try_clone() else {
                return next.run(request, extensions).await;
            };
            let result = next.clone().run(copy, extensions).await;
            let asked = match &result {
                Ok(response) if is_temporary_status(response.status().as_u16()) => retry_after(response.headers()),
                Err(reqwest_middleware::Error::Reqwest(error))
                    if error.is_connect() || error.is_timeout() || error.is_request() =>
                {
                    None
                }
                _ => return result,
            };
            if retries == self.retries {
                return result.map_err(|error| match error {
                    reqwest_middleware::Error::Reqwest(error) => {
                        reqwest_middleware::Error::middleware(GaveUp { error })
                    }
                    other @ reqwest_middleware::Error::Middleware(_) => other,
                });
            }
            let pause = asked.unwrap_or(RETRY_INTERVAL * 2_u32.pow(retries.min(8)));
            tokio::time::sleep(pause.min(LONGEST_RETRY_INTERVAL)).await;
            retries += 1;
        }
    }
}

fn basic(user: &str, password: Option<&str>) -> reqwest_middleware::Result<HeaderValue> {
    use base64::Engine as _;
    let pair = format!("{user}:{}", password.unwrap_or_default());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    let mut value =
        HeaderValue::from_str(&format!("Basic {encoded}")).map_err(reqwest_middleware::Error::middleware)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Seconds; a date is left to the usual pauses.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// A mirror can be a directory.
async fn from_disk(request: &Request) -> reqwest_middleware::Result<Response> {
    let path = request.url().to_file_path().ok();
    let file = match path {
        Some(path) => tokio::fs::File::open(path).await.ok(),
        None => None,
    };
    let mut response = hyper::http::Response::builder();
    let body = match file {
        Some(_) if request.method() == Method::HEAD => reqwest::Body::default(),
        Some(file) => reqwest::Body::from(file),
        None => {
            response = response.status(StatusCode::NOT_FOUND);
            reqwest::Body::default()
        }
    };
    let response = response.body(body).map_err(reqwest_middleware::Error::middleware)?;
    Ok(Response::from(response))
}
