//! Requests to a registry: let in as far as they need to be, read to their end, and made again where a fault may pass.
//!
//! A client of a library hides what a registry that wants fewer requests says of when to come back (`Retry-After`), and
//! keeps a token that has expired. So the few requests that floe makes are its own.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::HeaderMap;
use reqwest::{Body, Method, RequestBuilder, Response, StatusCode};

use super::RegistryError;
use super::identity::{self, Access, Pass, Scope};
use super::refusal::{broken, retry_after, told};
use crate::engine::Credentials;
use crate::fault::Trouble;
use crate::reference::RegistryHost;

/// How long to wait before each new attempt, where the registry does not say.
pub(super) const PAUSES: [Duration; 3] = [
    Duration::from_millis(300),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// A registry that wants to be left alone for longer is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

/// How long a request may take, beside the time for what it sends. What moves a layer takes as long as it takes.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// What is sent more slowly is not waited for, in bytes a millisecond.
const SLOWEST: u64 = 20;

/// More than this is no manifest, in bytes: what the distribution specification advises registries to accept, and more.
const LONGEST_ANSWER: usize = 16 << 20;

/// What registries are asked by, and how.
pub(super) struct Requests {
    host: RegistryHost,
    http: reqwest::Client,
    credentials: Option<Credentials>,
    pauses: Vec<Duration>,
    passes: Mutex<HashMap<Scope, Pass>>,
    /// Whether the registry has ever answered: one that never did is hardly one that starts again.
    heard: AtomicBool,
}

/// A request for one repository.
#[derive(Clone)]
pub(super) struct Request<'a> {
    /// What is asked for, in the words of errors.
    pub image: &'a str,
    /// The repository that it is about.
    pub repository: &'a str,
    /// What it needs to be let in for.
    pub access: Access,
    /// Another repository, which it takes something from.
    pub source: Option<&'a str>,
    pub method: Method,
    /// What follows `/v2/<repository>/`, or a whole address that the registry named.
    pub place: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Bytes,
}

/// What a registry answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Why an attempt failed, and whether another may succeed.
#[derive(Debug)]
pub(super) struct Fault {
    pub error: RegistryError,
    /// When the registry wants to be asked again.
    after: Option<Duration>,
    /// Whether what was sent was out of date, and is no longer.
    renewed: bool,
}

impl From<RegistryError> for Fault {
    fn from(error: RegistryError) -> Self {
        Self {
            error,
            after: None,
            renewed: false,
        }
    }
}

impl Requests {
    pub(super) fn new(host: &RegistryHost, http: reqwest::Client, credentials: Option<Credentials>) -> Self {
        Self {
            host: host.clone(),
            http,
            credentials,
            pauses: PAUSES.to_vec(),
            passes: Mutex::default(),
            heard: AtomicBool::new(false),
        }
    }

    /// The same with other pauses.
    pub(super) fn pausing(mut self, pauses: &[Duration]) -> Self {
        self.pauses = pauses.to_vec();
        self
    }

    /// Carries out `attempt`, and again where it fails for a reason that may pass.
    pub(super) async fn patiently<T, F>(&self, attempt: impl Fn() -> F + Send) -> Result<T, RegistryError>
    where
        F: Future<Output = Result<T, Fault>> + Send,
    {
        let mut pauses = self.pauses.iter();
        loop {
            let Fault {
                mut error,
                after,
                renewed,
            } = match attempt().await {
                Ok(done) => return Ok(done),
                Err(fault) => fault,
            };
            let Some(pause) = pauses.next().filter(|_| renewed || self.may_pass(error.trouble)) else {
                return Err(error);
            };
            let pause = after.unwrap_or(*pause);
            if pause > LONGEST_PAUSE {
                let wanted = pause.as_secs();
                error.reason = format!("{} (and wants to be left alone for {wanted} s)", error.reason);
                return Err(error);
            }
            tokio::time::sleep(if renewed { Duration::ZERO } else { pause }).await;
        }
    }

    /// Whether it is worth while to ask again within seconds.
    fn may_pass(&self, trouble: Trouble) -> bool {
        match trouble {
            Trouble::Silent | Trouble::Lost | Trouble::Busy | Trouble::Broken | Trouble::Conflict => true,
            Trouble::Unheard | Trouble::Unresolved | Trouble::NoRoute => self.heard.load(Ordering::Relaxed),
            _ => false,
        }
    }

    /// Asks, and again where a fault may pass. An answer that the caller expects is none.
    pub(super) async fn ask(&self, request: &Request<'_>, expected: &[u16]) -> Result<Answer, RegistryError> {
        self.patiently(|| self.once(request, expected)).await
    }

    /// Asks once. What was let in before and is not any more is let in again.
    pub(super) async fn once(&self, request: &Request<'_>, expected: &[u16]) -> Result<Answer, Fault> {
        let limit = Some(ANSWER_TIMEOUT + Duration::from_millis(request.body.len() as u64 / SLOWEST));
        let body = || request.body.clone().into();
        self.attempt(request, (body, limit), expected).await
    }

    /// The same with a body that takes as long as it takes.
    pub(super) async fn once_from(
        &self,
        request: &Request<'_>,
        body: impl Fn() -> Body + Send,
        expected: &[u16],
    ) -> Result<Answer, Fault> {
        self.attempt(request, (body, None), expected).await
    }

    async fn attempt(
        &self,
        request: &Request<'_>,
        (body, limit): (impl Fn() -> Body + Send, Option<Duration>),
        expected: &[u16],
    ) -> Result<Answer, Fault> {
        let answer = self.let_in(request, body, limit).await?;
        read(request, answer, expected).await
    }

    /// Sends a request with a body that can be sent once only.
    pub(super) async fn once_with(&self, request: &Request<'_>, body: Body, expected: &[u16]) -> Result<Answer, Fault> {
        let shown = self.pass(request);
        let answer = self.send(request, shown.as_ref(), body, None).await?;
        let renewed = self.renewed(request, shown.as_ref(), &answer).await?.is_some();
        let read = read(request, answer, expected).await;
        read.map_err(|fault| Fault { renewed, ..fault })
    }

    /// The same as [`Self::once`], for an answer whose body is read piece by piece.
    pub(super) async fn streamed(&self, request: &Request<'_>) -> Result<Response, Fault> {
        let answer = self.let_in(request, Body::default, None).await?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        Err(read(request, answer, &[]).await.err().unwrap_or_else(|| {
            Fault::from(request.failed("what it answers is no content".to_owned(), Trouble::Foreign))
        }))
    }

    /// Sends a request, and again where it was not let in by what it had shown.
    async fn let_in(
        &self,
        request: &Request<'_>,
        body: impl Fn() -> Body + Send,
        limit: Option<Duration>,
    ) -> Result<Response, Fault> {
        let shown = self.pass(request);
        let answer = self.send(request, shown.as_ref(), body(), limit).await?;
        match self.renewed(request, shown.as_ref(), &answer).await? {
            Some(pass) => self.send(request, Some(&pass), body(), limit).await,
            None => Ok(answer),
        }
    }

    async fn send(
        &self,
        request: &Request<'_>,
        pass: Option<&Pass>,
        body: Body,
        limit: Option<Duration>,
    ) -> Result<Response, Fault> {
        let url = self.url(request);
        let mut sent = self.http.request(request.method.clone(), &url).body(body);
        for (name, value) in &request.headers {
            sent = sent.header(*name, value);
        }
        if let Some(limit) = limit {
            sent = sent.timeout(limit);
        }
        // What a registry names elsewhere gets none of its credentials.
        if url.starts_with(&self.base()) {
            sent = showing(pass, sent);
        }
        let answer = sent.send().await.map_err(|error| {
            let (reason, trouble) = broken(&error);
            Fault::from(request.failed(reason, trouble))
        })?;
        self.heard.store(true, Ordering::Relaxed);
        Ok(answer)
    }

    /// What a request shows to be let in, if anything is known that does it.
    fn pass(&self, request: &Request<'_>) -> Option<Pass> {
        let passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.get(&request.scope()).cloned()
    }

    /// What lets a request in that was not, by what the registry says that it wants. `None` where it was, or has `shown` that.
    async fn renewed(
        &self,
        request: &Request<'_>,
        shown: Option<&Pass>,
        answer: &Response,
    ) -> Result<Option<Pass>, Fault> {
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let (scope, headers) = (request.scope(), answer.headers());
        let image = format!("{}/{}", self.host, request.repository);
        let pass = identity::pass(&self.http, &image, &scope, self.credentials.as_ref(), headers).await?;
        let pass = pass.filter(|pass| shown != Some(pass));
        if let Some(pass) = &pass {
            let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
            passes.insert(scope, pass.clone());
        }
        Ok(pass)
    }

    fn base(&self) -> String {
        let scheme = if self.host.is_local() { "http" } else { "https" };
        format!("{scheme}://{}/", self.host.server())
    }

    fn url(&self, request: &Request<'_>) -> String {
        if request.place.contains("://") {
            request.place.clone()
        } else if let Some(path) = request.place.strip_prefix('/') {
            format!("{}{path}", self.base())
        } else {
            format!("{}v2/{}/{}", self.base(), request.repository, request.place)
        }
    }
}

impl<'a> Request<'a> {
    /// Asks for what there is at `place`.
    pub(super) fn get(image: &'a str, repository: &'a str, place: String) -> Self {
        Self::new(Method::GET, image, repository, Access::Pull, place)
    }

    pub(super) fn new(method: Method, image: &'a str, repository: &'a str, access: Access, place: String) -> Self {
        Self {
            image,
            repository,
            access,
            source: None,
            method,
            place,
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, media_type: &str, body: Bytes) -> Self {
        self.body = body;
        self.header("content-type", media_type)
    }

    /// The error of this request.
    pub(super) fn failed(&self, reason: String, trouble: Trouble) -> RegistryError {
        RegistryError {
            image: self.image.to_owned(),
            reason,
            trouble,
        }
    }

    fn scope(&self) -> Scope {
        Scope {
            repository: self.repository.to_owned(),
            access: self.access,
            source: self.source.map(str::to_owned),
        }
    }
}

fn showing(pass: Option<&Pass>, sent: RequestBuilder) -> RequestBuilder {
    match pass {
        Some(Pass::Bearer(token)) => sent.bearer_auth(token),
        Some(Pass::Basic { username, password }) => sent.basic_auth(username, Some(password)),
        None => sent,
    }
}

/// Reads an answer. One that is no success, and not among those that are expected, is the error.
async fn read(request: &Request<'_>, answer: Response, expected: &[u16]) -> Result<Answer, Fault> {
    let (status, headers) = (answer.status(), answer.headers().clone());
    let body = bounded(request, answer).await?;
    if status.is_success() || expected.contains(&status.as_u16()) {
        return Ok(Answer { status, headers, body });
    }
    let text = String::from_utf8_lossy(&body);
    let (reason, trouble) = told(status, &text);
    Err(Fault {
        after: (trouble == Trouble::Busy || trouble == Trouble::Broken)
            .then(|| retry_after(&headers))
            .flatten(),
        ..Fault::from(request.failed(reason, trouble))
    })
}

async fn bounded(request: &Request<'_>, mut answer: Response) -> Result<Bytes, Fault> {
    let mut body = Vec::new();
    loop {
        let piece = answer.chunk().await.map_err(|error| {
            let (reason, trouble) = broken(&error);
            Fault::from(request.failed(reason, trouble))
        })?;
        let Some(piece) = piece else { return Ok(body.into()) };
        body.extend_from_slice(&piece);
        if body.len() > LONGEST_ANSWER {
            let reason = format!("its answer is longer than {} MB", LONGEST_ANSWER >> 20);
            return Err(request.failed(reason, Trouble::Foreign).into());
        }
    }
}
