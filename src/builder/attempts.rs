//! Attempts to build: again where a failure may pass, and what a failure means where it does not.

use std::time::Duration;

use super::{BuildError, agent};
use crate::engine::EngineError;
use crate::event::{Event, Sink};
use crate::fault::{Explained as _, Place};
use crate::plan::ImagePlan;

/// Attempts a build of an image of a plan, again where the failure was temporary.
pub async fn patiently<T>(
    image: &ImagePlan,
    retries: &[Duration],
    events: &dyn Sink,
    mut attempt: impl AsyncFnMut() -> Result<T, EngineError>,
) -> Result<T, BuildError> {
    let mut waits = retries.iter();
    loop {
        let error = match attempt().await {
            Ok(made) => return Ok(made),
            Err(error) => failure(image, error),
        };
        match waits.next() {
            Some(wait) if error.is_temporary() => {
                events.emit(Event::Warning {
                    text: format!("{error}; trying again in {} s", wait.as_secs()),
                });
                tokio::time::sleep(*wait).await;
            }
            _ => return Err(error),
        }
    }
}

fn failure(image: &ImagePlan, source: EngineError) -> BuildError {
    let said = agent::said(image, &source);
    BuildError::Engine {
        line: place(image, &source),
        kind: said.as_ref().and_then(|said| said.kind).unwrap_or(source.kind()),
        said,
        source,
    }
}

/// The line that people wrote and that failed.
fn place(image: &ImagePlan, error: &EngineError) -> Option<Place> {
    let EngineError::Build { line, step, .. } = error else {
        return None;
    };
    let by_line = line.and_then(|line| image.dockerfile.place(line));
    let by_step = || step.as_ref().and_then(|step| image.dockerfile.place_of_step(step));
    by_line.or_else(by_step).cloned()
}
