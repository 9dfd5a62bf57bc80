//! The container of a stage, as an engine is asked for it: the host's own agent as its first process, and what that is asked to do.

use std::time::Duration;

use super::{ARTIFACTS_DIRECTORY, Mark, Stage, Trial};
use crate::engine::{ContainerRequest, EngineError, SharedProgram};
use crate::event::seal::Key;
use crate::image::AGENT;
use crate::image::applet::SUPERVISE;
use crate::image::variable::{ARTIFACTS, ENVIRONMENTS, EVENTS};
use crate::process::Owner;
use crate::quantity::Limit;

/// What a stage of a trial asks an engine to run, which may take as long as is `left`.
pub(super) fn request(
    trial: &Trial,
    (stage, left): (&Stage, Option<Duration>),
    process: &Owner,
    key: &Key,
) -> Result<ContainerRequest, EngineError> {
    let mut request = stage.request(&trial.request);
    request.options.run_timeout = left.map(Limit);
    if stage.shares() {
        request.fixed.clone_from(&trial.fixed);
    }
    let mut environment = request.variables();
    environment.insert(EVENTS.to_owned(), key.to_string());
    environment.insert(ARTIFACTS.to_owned(), ARTIFACTS_DIRECTORY.to_owned());
    if let Some(environments) = &trial.environments {
        environment.insert(ENVIRONMENTS.to_owned(), environments.clone());
    }
    let spread = trial.spread.as_ref();
    Ok(ContainerRequest {
        image: spread.map_or_else(|| trial.image.to_string(), |spread| spread.image.clone()),
        // The agent is the first process, whatever the image would start: nothing in the container comes before it, can
        // stop it, or can look into it.
        entrypoint: Some([AGENT, "applet"].map(str::to_owned).to_vec()),
        command: vec![SUPERVISE.to_owned()],
        files: stage.files.clone(),
        program: Some(SharedProgram {
            image: spread.and_then(|spread| spread.agent.clone()),
            ..SharedProgram::of(&trial.agent)?
        }),
        environment,
        labels: Mark {
            run: &trial.run,
            mission: &trial.mission,
            owner: process,
        }
        .labels(),
        memory: trial.memory,
        processes: Some(processes()),
        ..ContainerRequest::default()
    })
}

/// How many processes and threads a container may have: what a notebook that forks without end leaves of the machine is
/// enough to end it. Libraries start a thread for each processor, in each kernel.
fn processes() -> u64 {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    (2048 * processors).max(4096)
}
