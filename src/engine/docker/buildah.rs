//! Builds images by Podman's own builder, Buildah, through the API that it shares with Docker.
//!
//! There is no session: the context goes to it as an archive, and with it, under names that no context has, the
//! Dockerfile, a list that keeps those names out of every `COPY`, and the files that single `RUN`s see. Podman takes the
//! latter out of the context before it builds (`secrets` of its API, as its own remote client uses it), so they reach no
//! layer.
//!
//! It builds one stage after the other and tells of no cached step how long it took. A build goes on where the connection
//! is lost, and ends by itself.

mod steps;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bollard::models::ResourcesUlimits;
use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::StreamBody;
use hyper::body::Frame;
use serde::Deserialize;
use url::form_urlencoded;

use self::steps::{FailedStep, Steps};
use super::buildkit::line;
use super::pack::{self, Written};
use super::stream::Lines;
use super::transport::{Transport, message};
use crate::engine::{BuildRequest, EngineError};
use crate::event::Sink;
use crate::fault::Trouble;
use crate::reference::Digest;

/// How the files of floe's own begin in the archive.
const OWN: &str = ".floe-build.";

/// Builds an image; returns its ID. Processes of its steps have these `limits`, or the engine's own.
pub(super) async fn build(
    transport: &Transport,
    request: BuildRequest,
    limits: Option<Vec<ResourcesUlimits>>,
    events: &dyn Sink,
) -> Result<Digest, EngineError> {
    let action = || format!("build {}", request.image);
    let (arriving, packing) = pack::stream(PathBuf::new(), request.context.entries()?, own(&request));
    let body = StreamBody::new(arriving.map(|piece| piece.map(Frame::<Bytes>::data)));
    let sent = transport
        .upload(&query(&request, limits), "application/x-tar", body)
        .await;
    // What could not be read explains better than the broken request why that broke.
    let mut response = match sent {
        Ok(response) => response,
        Err(error) => {
            packing.outcome().await?;
            return Err(transport.failed(action(), &error));
        }
    };
    if !response.status().is_success() {
        let reason = message(response).await;
        return Err(failed(request, reason, None));
    }
    let (mut lines, mut steps) = (Lines::default(), Steps::new(&request.image, events));
    let mut image = None;
    loop {
        let line = match lines.next(&mut response).await {
            Ok(Some(line)) => line,
            Ok(None) => break,
            Err(reason) => {
                return Err(EngineError::Request {
                    action: action(),
                    reason,
                    trouble: Trouble::Lost,
                });
            }
        };
        let Ok(line) = serde_json::from_slice::<Line>(&line) else {
            continue;
        };
        if let Some(reason) = line.error {
            packing.outcome().await?;
            let reason = plain(&reason);
            let step = steps.fail(&reason);
            return Err(failed(request, reason, step));
        }
        image = line.aux.and_then(|aux| aux.id.parse().ok()).or(image);
        steps.take(&line.stream.unwrap_or_default());
    }
    steps.finish();
    packing.outcome().await?;
    image.ok_or_else(|| {
        failed(
            request,
            "the engine names no image at the end of the build".to_owned(),
            None,
        )
    })
}

/// What floe adds to the context.
fn own(request: &BuildRequest) -> Vec<Written> {
    let written = |name: &str, content: &[u8]| Written {
        path: Path::new(&format!("{OWN}{name}")).to_owned(),
        mode: 0o600,
        content: content.to_vec(),
    };
    let mut all = vec![
        written("Dockerfile", unlocked(&request.dockerfile).as_bytes()),
        // Beside a Dockerfile, and so in the place of the `.dockerignore` that the context has been read by already.
        written("Dockerfile.dockerignore", format!("{OWN}*\n").as_bytes()),
    ];
    let mounts = request.mounts.iter();
    all.extend(mounts.map(|(id, content)| written(&format!("mount.{id}"), content)));
    all
}

/// The same Dockerfile with caches that steps share without taking turns. The lock of a cache is a file in it: once a step
/// has emptied the cache, Podman 4.3 waits for the lock without end.
fn unlocked(dockerfile: &str) -> String {
    let words = dockerfile.split_inclusive(char::is_whitespace);
    let shared = words.map(|word| {
        if word.starts_with("--mount=") && word.contains("type=cache") {
            Cow::Owned(word.replace("sharing=locked", "sharing=shared"))
        } else {
            Cow::Borrowed(word)
        }
    });
    shared.collect()
}

/// The request.
fn query(request: &BuildRequest, limits: Option<Vec<ResourcesUlimits>>) -> String {
    let json = |map: &BTreeMap<String, String>| serde_json::to_string(map).expect("strings are JSON");
    let mounts = request.mounts.keys().map(|id| format!("id={id},src={OWN}mount.{id}"));
    let mounts = mounts.collect::<Vec<_>>();
    let mut query = form_urlencoded::Serializer::new(String::from("/build?"));
    query
        .append_pair("dockerfile", &format!("{OWN}Dockerfile"))
        .append_pair("buildargs", &json(&request.args))
        .append_pair("labels", &json(&request.labels))
        .append_pair("layers", "true")
        .append_pair("rm", "true")
        .append_pair("forcerm", "true");
    if !mounts.is_empty() {
        query.append_pair("secrets", &serde_json::to_string(&mounts).expect("strings are JSON"));
    }
    if let Some(limits) = limits {
        let limits = limits.into_iter().filter_map(|limit| {
            let ResourcesUlimits { name, soft, hard } = limit;
            Some(format!("{}={}:{}", name?, soft?, hard?))
        });
        let limits = limits.collect::<Vec<_>>();
        query.append_pair("ulimits", &serde_json::to_string(&limits).expect("strings are JSON"));
    }
    if request.no_cache {
        query.append_pair("nocache", "true");
    }
    for tag in &request.tags {
        query.append_pair("t", &tag.to_string());
    }
    query.finish()
}

fn failed(request: BuildRequest, reason: String, step: Option<FailedStep>) -> EngineError {
    let (step, output) = step.map_or((None, String::new()), |step| (Some(step.name), step.output));
    EngineError::Build {
        image: request.image,
        line: line::of_step(&request.dockerfile, step.as_deref().unwrap_or_default()),
        trouble: trouble(&reason, &output),
        reason,
        step,
        output,
    }
}

/// What failed, where it is not the definition.
fn trouble(reason: &str, output: &str) -> Option<Trouble> {
    let found = Trouble::of(reason);
    if reason.starts_with(EXIT_CODE) {
        if let Some(line) = output.lines().find(|line| is_of_runtime(line)) {
            // The step names a program that the image does not hold.
            return Some(Trouble::Runtime).filter(|_| Trouble::of(line) != Some(Trouble::NoProgram));
        }
        return Trouble::passing(output);
    }
    match found {
        Some(found) if found.is_of_surroundings() || found.may_pass() => Some(found),
        _ => Trouble::passing(reason),
    }
}

/// Whether a line among what a step printed is the builder's: the runtime has started no container for the step.
fn is_of_runtime(line: &str) -> bool {
    line.starts_with("error running container: from ") && line.contains(" creating container for [")
}

/// How the reason of a `RUN` that failed begins, as with Docker.
const EXIT_CODE: &str = "exit code: ";

/// What the builder says of a failed step, without the step, and an exit code in the words of Docker's.
fn plain(words: &str) -> String {
    let words = words.trim();
    let quoted = words.split_once("building at STEP \"").map_or("", |(_, rest)| rest);
    let end = quoted
        .match_indices("\": ")
        .find(|(at, _)| !quoted[..*at].ends_with('\\'));
    let reason = end.map_or(words, |(at, found)| &quoted[at + found.len()..]);
    match reason.rsplit_once("exit status ") {
        Some((before, code)) if before.contains("running runtime") => format!("{EXIT_CODE}{code}"),
        _ => reason.strip_prefix("Build error: ").unwrap_or(reason).to_owned(),
    }
}

/// A line of the engine's report on a build.
#[derive(Deserialize)]
struct Line {
    stream: Option<String>,
    error: Option<String>,
    aux: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "ID", default)]
    id: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_failed_step_does_not_repeat_the_step() {
        for (words, reason) in [
            (
                "building at STEP \"RUN echo \\\"a\\\": b; exit 3\": while running runtime: exit status 3\n",
                "exit code: 3",
            ),
            (
                "error building at STEP \"COPY a /\": copier: stat: \"/a\": no such file or directory",
                "copier: stat: \"/a\": no such file or directory",
            ),
            ("creating build container: x", "creating build container: x"),
        ] {
            assert_eq!(plain(words), reason);
        }
    }

    #[test]
    fn caches_are_shared_without_turns_and_nothing_else_changes() {
        let cache = "RUN --mount=type=cache,target=/a,sharing=locked";
        let text = format!("{cache} \\\n --mount=type=secret,id=x make\nRUN echo sharing=locked\n");
        let expected = text.replacen("sharing=locked", "sharing=shared", 1);
        assert_eq!(unlocked(&text), expected);
    }

    #[test]
    fn a_container_that_the_runtime_does_not_start_is_no_fault_of_the_definition() {
        let said = |command: &str, words: &str| {
            let by = "error running container: from /usr/bin/crun creating container for";
            trouble(
                "exit code: 1",
                &format!("before\n{by} [{command}]: {words}\n: exit status 1"),
            )
        };
        let hybrid = "cgroups in hybrid mode not supported, drop all controllers from cgroupv2";
        assert_eq!(said("/bin/sh -c make", hybrid), Some(Trouble::Runtime));
        let limits = "error setting rlimits for ready process: error setting rlimit type 7: operation not permitted";
        assert_eq!(said("/bin/sh -c make", limits), Some(Trouble::Runtime));
        assert_eq!(
            said(
                "nosuch",
                "executable file `nosuch` not found in $PATH: No such file or directory"
            ),
            None
        );
        assert_eq!(
            said("nosuch", "exec: \"nosuch\": executable file not found in $PATH\""),
            None
        );
    }

    #[test]
    fn what_a_step_says_of_the_network_may_pass_and_its_own_failure_does_not() {
        assert_eq!(trouble("exit code: 2", "no compiler"), None);
        assert!(trouble("exit code: 2", "Temporary failure in name resolution").is_some());
        let reason = "pinging container registry x: dial tcp: lookup x: no such host";
        assert!(trouble(reason, "").is_some_and(Trouble::may_pass));
        assert_eq!(trouble("copier: stat: \"/a\": no such file or directory", ""), None);
    }
}
