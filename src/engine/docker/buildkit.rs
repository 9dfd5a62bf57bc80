//! Builds images by BuildKit over a session of our own, which gives secrets, progress and incremental files at once.
//!
//! The engine's `/grpc` takes the build and reports its progress; its `/session` is the way back, by which the build
//! asks for files and secrets. Dropping [`build`] closes both, and the engine then stops the build.

mod filesync;
pub(super) mod line;
mod progress;
mod requested;
mod session;
mod switchboard;

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error as StdError;
use std::future;
use std::time::Duration;

use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{CacheOptions, SolveRequest, SolveResponse, StatusRequest};
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use self::progress::{FailedStep, Progress};
use self::session::Session;
use super::transport::{Broken, Transport};
use crate::engine::{BuildRequest, Connections, EngineError};
use crate::event::Sink;
use crate::fault::{Trouble, chain};
use crate::reference::Digest;

/// How long the last reports of a build may take after its end.
const LAST_REPORTS_TIMEOUT: Duration = Duration::from_secs(5);

/// By Docker's own names a manifest cannot name layers that are compressed by zstd: the builder of Docker 26 makes one up, which
/// containerd does not take for a layer when it pulls. Engines that keep no manifests pass it over.
const OCI_MEDIA_TYPES: (&str, &str) = ("oci-mediatypes", "true");

/// Where `FROM` looks first. Docker's own client asks for the engine's images; left alone, the builder beside containerd's store
/// asks a registry first, where images of floe's own names would be somebody else's.
const RESOLVE_MODE: &str = "image-resolve-mode";
const LOCAL: &str = "local";

/// Bytes of a single report: a flood of output comes in large ones.
const REPORT_LIMIT: usize = 64 << 20;

/// Bytes of the headers of a response: an engine that gives the details of a failure gives them there, with the text of
/// the Dockerfile.
const HEADER_LIMIT: u32 = 16 << 20;

/// Builds an image; returns its ID.
pub(super) async fn build(
    transport: &Transport,
    request: BuildRequest,
    events: &dyn Sink,
) -> Result<Digest, EngineError> {
    let image = request.image.clone();
    let response = solve(transport, request, None, events).await?;
    image_id(&response).ok_or_else(|| EngineError::Build {
        image,
        reason: "the engine names no image at the end of the build".to_owned(),
        line: None,
        step: None,
        output: String::new(),
        trouble: Some(Trouble::Engine),
    })
}

/// Carries out the steps of a Dockerfile, which may open connections, and makes no image of them.
pub(super) async fn perform(
    transport: &Transport,
    request: BuildRequest,
    connections: Connections,
    events: &dyn Sink,
) -> Result<(), EngineError> {
    solve(transport, request, Some(connections), events).await.map(drop)
}

/// Makes an image, unless its steps are carried out for the connections that they open.
async fn solve(
    transport: &Transport,
    request: BuildRequest,
    connections: Option<Connections>,
    events: &dyn Sink,
) -> Result<SolveResponse, EngineError> {
    let lost = |error: &Broken| transport.failed(format!("begin to build {}", request.image), error);
    let exporter = if connections.is_some() { "" } else { "moby" };
    let session = Session::open(transport, &request, connections).await;
    let session = session.map_err(|error| lost(&error))?;
    let failure = session.failure();
    let control =
        control(transport)
            .await
            .map_err(|error| match chain(&error).find_map(<dyn StdError>::downcast_ref) {
                Some(broken) => lost(broken),
                None => transport.absent(&error),
            })?;
    let (solve, reference) = (solve_request(&request, &session.id, exporter), session.id.clone());
    let mut progress = Progress::new(&request.image, events);
    let answer = tokio::select! {
        answer = carry_out(control, solve, reference, &mut progress) => answer,
        // A closed session is not the end: the build's own answer says what happened.
        never = async { session.serve().await; future::pending::<Infallible>().await } => match never {},
    };
    let failed = progress.finish();
    answer.map_err(|status| failure.take().unwrap_or_else(|| build_error(request, &status, failed)))
}

/// Whether the engine has a builder that floe can use.
pub(super) async fn answers(transport: &Transport) -> Result<(), EngineError> {
    let opened = transport.upgrade("/grpc", &[]).await;
    opened
        .map(drop)
        .map_err(|error| transport.failed("ask for a builder".to_owned(), &error))
}

/// Runs the build and follows its reports until both have ended.
async fn carry_out(
    control: ControlClient<Channel>,
    solve: SolveRequest,
    reference: String,
    progress: &mut Progress<'_>,
) -> Result<SolveResponse, Status> {
    let mut solver = control.clone();
    let solving = solver.solve(solve);
    let reports = follow(control, reference, progress);
    tokio::pin!(solving, reports);
    tokio::select! {
        biased;
        answer = &mut solving => {
            // Lost reports change nothing about the result.
            let _ = tokio::time::timeout(LAST_REPORTS_TIMEOUT, reports).await;
            answer.map(tonic::Response::into_inner)
        }
        _ = &mut reports => solving.await.map(tonic::Response::into_inner),
    }
}

async fn follow(
    mut control: ControlClient<Channel>,
    reference: String,
    progress: &mut Progress<'_>,
) -> Result<(), Status> {
    let mut reports = control.status(StatusRequest { r#ref: reference }).await?.into_inner();
    while let Some(report) = reports.message().await? {
        progress.take(report);
    }
    Ok(())
}

async fn control(transport: &Transport) -> Result<ControlClient<Channel>, tonic::transport::Error> {
    let transport = transport.clone();
    let connector = tower::service_fn(move |_: Uri| {
        let transport = transport.clone();
        async move { transport.upgrade("/grpc", &[]).await }
    });
    // The address is never resolved: the connector knows where the engine is.
    let channel = Endpoint::from_static("http://engine")
        .http2_max_header_list_size(HEADER_LIMIT)
        .connect_with_connector(connector)
        .await?;
    Ok(ControlClient::new(channel).max_decoding_message_size(REPORT_LIMIT))
}

fn solve_request(request: &BuildRequest, session: &str, exporter: &str) -> SolveRequest {
    let mut frontend = HashMap::from([
        ("filename".to_owned(), filesync::DOCKERFILE.to_owned()),
        (RESOLVE_MODE.to_owned(), LOCAL.to_owned()),
    ]);
    let attribute = |kind: &str, name: &str| format!("{kind}:{name}");
    frontend.extend(request.args.iter().map(|(k, v)| (attribute("build-arg", k), v.clone())));
    frontend.extend(request.labels.iter().map(|(k, v)| (attribute("label", k), v.clone())));
    if request.no_cache {
        // An empty list of stages stands for all of them.
        frontend.insert("no-cache".to_owned(), String::new());
    }
    let (name, value) = OCI_MEDIA_TYPES;
    let mut attributes = HashMap::from([(name.to_owned(), value.to_owned())]);
    if !request.tags.is_empty() {
        let names = request.tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        attributes.insert("name".to_owned(), names.join(","));
    }
    SolveRequest {
        r#ref: session.to_owned(),
        session: session.to_owned(),
        frontend: "dockerfile.v0".to_owned(),
        frontend_attrs: frontend,
        exporter_deprecated: exporter.to_owned(),
        exporter_attrs_deprecated: attributes,
        cache: Some(CacheOptions::default()),
        ..SolveRequest::default()
    }
}

/// What every engine names first is the ID by which it knows the image: the digest of the manifest where it keeps images
/// as containerd does, otherwise that of the configuration, which it may name once more by itself.
fn image_id(response: &SolveResponse) -> Option<Digest> {
    ["containerimage.digest", "containerimage.config.digest"]
        .iter()
        .find_map(|key| response.exporter_response.get(*key)?.parse().ok())
}

fn build_error(request: BuildRequest, status: &Status, failed: Option<FailedStep>) -> EngineError {
    let reason = without_command(status.message()).to_owned();
    let (step, output) = failed.map_or((None, String::new()), |step| (Some(step.name), step.output));
    EngineError::Build {
        image: request.image,
        line: line::in_details(status.details())
            .or_else(|| line::in_words(&reason))
            .or_else(|| line::of_step(&request.dockerfile, step.as_deref()?)),
        trouble: trouble(status, &reason, &output),
        reason,
        step,
        output,
    }
}

/// What failed, where it is not the definition.
fn trouble(status: &Status, reason: &str, output: &str) -> Option<Trouble> {
    // A status with a source was made on this side: the connection broke.
    if status.source().is_some() {
        return Some(Trouble::Lost);
    }
    match Trouble::of(reason) {
        Some(found) if found.is_of_surroundings() => Some(found),
        _ if status.code() == Code::Unavailable => Some(Trouble::Lost),
        // What the builder says counts more than what the step has printed.
        _ => Trouble::passing(&format!("{output}\n{reason}")),
    }
}

/// What a builder says of a failed step, without the step's whole command, which the step's name holds.
fn without_command(words: &str) -> &str {
    let ends = [
        ("executor failed running [", "]: "),
        ("process \"", "\" did not complete successfully: "),
    ];
    let cut = |(start, end)| words.contains(start).then(|| words.rsplit_once(end)).flatten();
    ends.into_iter().find_map(cut).map_or(words, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_image_is_known_by_the_digest_that_either_store_calls_its_id() {
        let named = |keys: &[&str]| {
            let named = keys
                .iter()
                .map(|key| ((*key).to_owned(), Digest::of(key.as_bytes()).to_string()));
            let response = SolveResponse {
                exporter_response: named.collect(),
            };
            image_id(&response)
        };
        let (id, configuration) = ("containerimage.digest", "containerimage.config.digest");
        assert_eq!(named(&[id]), Some(Digest::of(id.as_bytes())), "Docker 20.10");
        assert_eq!(
            named(&[configuration, id]),
            Some(Digest::of(id.as_bytes())),
            "Docker 26, either store"
        );
        assert_eq!(named(&[]), None);
    }

    #[test]
    fn the_reason_of_a_failed_step_does_not_repeat_its_command() {
        for (words, reason) in [
            (
                "executor failed running [/bin/sh -c test [ a ]: b]: exit code: 2",
                "exit code: 2",
            ),
            (
                "failed to solve: process \"/bin/sh -c make\" did not complete successfully: exit code: 2",
                "exit code: 2",
            ),
            ("\"/x\" not found: not found", "\"/x\" not found: not found"),
        ] {
            assert_eq!(without_command(words), reason);
        }
    }
}
