//! The host's own agent, as containers have it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::engine::{EngineError, SharedProgram};
use crate::image;
use crate::reference::Digest;

/// The program at `agent`. A new file is another program: its name follows from what is cheap to know of it.
pub fn shared(agent: &Path) -> Result<SharedProgram, EngineError> {
    let metadata = std::fs::metadata(agent).map_err(|source| EngineError::File {
        path: agent.to_owned(),
        source,
    })?;
    let (size, modified) = (metadata.size(), (metadata.mtime(), metadata.mtime_nsec()));
    let digest = Digest::of(format!("{size} {modified:?} {} {}", metadata.dev(), metadata.ino()).as_bytes());
    Ok(SharedProgram {
        name: format!("floe-agent-{}", digest.short()),
        path: image::AGENT.into(),
        source: agent.to_owned(),
        image: None,
    })
}
