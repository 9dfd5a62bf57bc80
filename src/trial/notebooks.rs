//! The executed notebooks, which the host keeps of a container.

use std::time::Duration;

use tokio::time::timeout;

use super::watch::Watch;
use super::{ARTIFACTS_DIRECTORY, Trial};
use crate::engine::{Container, Containers, Wanted};
use crate::event::{Event, Sink};

/// How long they may take to be copied out of a container.
const COPY_TIMEOUT: Duration = Duration::from_mins(2);

/// No more bytes than this are read of what is copied out of a container.
const ARTIFACT_LIMIT: u64 = 1 << 30;

/// Keeps the executed notebooks that the agent has named.
pub(super) async fn copy(
    trial: &Trial,
    container: &Container,
    containers: &dyn Containers,
    watch: &Watch<'_>,
    events: &dyn Sink,
) {
    copy_within(COPY_TIMEOUT, trial, container, containers, watch, events).await;
}

/// The same, which may take as long as `limit`.
pub(super) async fn copy_within(
    limit: Duration,
    trial: &Trial,
    container: &Container,
    containers: &dyn Containers,
    watch: &Watch<'_>,
    events: &dyn Sink,
) {
    let wanted = Wanted {
        files: Some(watch.notebooks.clone()),
        limit: ARTIFACT_LIMIT,
    };
    if watch.notebooks.is_empty() {
        return;
    }
    let copy = containers.copy_out(container, ARTIFACTS_DIRECTORY, trial.directory.clone(), &wanted);
    let text = match timeout(limit, copy).await {
        Ok(Ok(true)) => return,
        Ok(Ok(false)) => "there is more than 1 GiB beside the executed notebooks; not all of them were kept".to_owned(),
        Ok(Err(error)) => format!("the executed notebooks could not be kept: {error}"),
        Err(_) => format!("the executed notebooks could not be kept within {} s", limit.as_secs()),
    };
    events.emit(Event::Warning { text });
}
