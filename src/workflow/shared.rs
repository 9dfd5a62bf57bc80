//! Whether stages of a deployment share secrets, as far as this machine can decrypt them.

use std::path::Path;
use std::sync::Arc;

use super::{WorkflowError, Workplace};
use crate::deploy::{self, Secrets, Tree};
use crate::deployment::{Deployment, Layout, Stage};
use crate::event::Event;
use crate::reference::StageName;
use crate::sops;
use crate::state::FileError;
use crate::values;

/// The faults of each stage, in the deployment's order: secrets that a stage before it has, too, or that are in plain text.
/// What this machine cannot decrypt is told of only where somebody asked for exactly this.
pub(super) fn shared(
    workplace: &Workplace,
    deployment: &Deployment,
    asked: bool,
) -> Result<Vec<Vec<String>>, WorkflowError> {
    let mut known: Vec<(StageName, Secrets)> = Vec::new();
    let mut faults = Vec::with_capacity(deployment.stages.len());
    for stage in &deployment.stages {
        faults.push(match secrets(workplace, deployment, stage, asked)? {
            Known::None => Vec::new(),
            Known::Plain => vec![format!(
                "{} is in plain text; `sops encrypt --in-place` encrypts it, and what it holds is no secret any more",
                Layout(&deployment.name).secrets(&stage.name).display()
            )],
            Known::Secrets(secrets) => {
                let shared = deploy::shared(&secrets, &known);
                known.push((stage.name.clone(), secrets));
                let shared = shared.iter().map(|shared| {
                    let (field, with, other) = (&shared.field, &shared.with, &shared.other);
                    format!("the secret {field} is that of {with}, {other}; give each stage its own")
                });
                shared.collect()
            }
        });
    }
    Ok(faults)
}

/// What is known of a stage's secrets.
enum Known {
    /// It has none, or this machine cannot decrypt them.
    None,
    /// They are not encrypted.
    Plain,
    Secrets(Secrets),
}

fn secrets(workplace: &Workplace, deployment: &Deployment, stage: &Stage, asked: bool) -> Result<Known, WorkflowError> {
    let root = workplace.repository.root();
    let path = Layout(&deployment.name).secrets(&stage.name);
    // A stage whose branch is not there is told by its standing.
    let Ok(tip) = deploy::tip(root, stage) else {
        return Ok(Known::None);
    };
    let Some(text) = Tree::Commit(&tip).read(root, std::slice::from_ref(&path))?.remove(0) else {
        return Ok(Known::None);
    };
    if !sops::is_encrypted(&text) {
        return Ok(Known::Plain);
    }
    // The commit's text, encrypted as it is, as a file for sops.
    let directory = tempfile::tempdir().map_err(FileError::of(&path))?;
    let copy = directory.path().join("secrets.yaml");
    std::fs::write(&copy, text).map_err(FileError::of(&copy))?;
    let decrypted = workplace.sops().decrypt(&copy);
    let read = decrypted.map_err(|error| error.to_string()).and_then(|plain| {
        let text = String::from_utf8_lossy(plain.as_bytes());
        // What is wrong with it quotes what it holds.
        values::read(&text, &Arc::from(Path::new("secrets.yaml"))).map_err(|_| "it is no YAML".to_owned())
    });
    match read {
        Ok(values) => Ok(Known::Secrets(Secrets::of(&values))),
        Err(_) if !asked => Ok(Known::None),
        Err(reason) => {
            let (name, stage) = (&deployment.name, &stage.name);
            let reason = reason.replace(&*copy.to_string_lossy(), &path.to_string_lossy());
            let text = format!("whether {name}/{stage} shares secrets with other stages is not known: {reason}");
            workplace.display().emit(Event::Warning { text });
            Ok(Known::None)
        }
    }
}
