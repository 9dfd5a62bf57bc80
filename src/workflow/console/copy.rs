//! What an image holds, copied to this machine.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::super::{Interrupts, WorkflowError, Workplace};
use super::{ConsoleError, Subject};
use crate::engine::ContainerRequest;
use crate::process::Owner;
use crate::reference::MissionName;
use crate::run::history;
use crate::state::FileError;
use crate::trial::Mark;

/// Copies the file or directory at `path` of an image: into the directory `to`, where there is one, else to that name.
/// What is copied belongs to whoever calls. Returns where it is.
pub async fn copy(
    workplace: &Workplace,
    subject: &Subject,
    path: &str,
    to: &Path,
    interrupts: &Interrupts,
) -> Result<PathBuf, WorkflowError> {
    let name = Path::new(path).file_name();
    let target = match name {
        Some(name) if to.is_dir() => to.join(name),
        Some(_) => to.to_owned(),
        None => return Err(ConsoleError::NoFile { path: path.to_owned() }.into()),
    };
    let name = PathBuf::from(name.unwrap_or_default());
    let beside = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let beside = beside.unwrap_or(Path::new("."));
    let image = subject.image(workplace, interrupts).await?;
    // It goes with this call, and is on the same disk.
    let scratch = tempfile::Builder::new().prefix(".floe-cp-").tempdir_in(beside);
    let scratch = scratch.map_err(FileError::of(beside))?;
    interrupts.leave_to_work();
    let engine = workplace.engine().await?;
    let run = history::new_run(&"copy".parse::<MissionName>()?);
    let mark = Mark {
        run: &run,
        mission: &subject.name(),
        owner: &Owner::current(),
    };
    let request = ContainerRequest {
        image: image.id.to_string(),
        // It never begins, but an image without a command of its own needs one to be created.
        command: vec!["true".to_owned()],
        labels: mark.labels(),
        ..ContainerRequest::default()
    };
    let container = engine.create(&request).await?;
    let fetched = tokio::select! {
        fetched = engine.fetch(&container, path, scratch.path().to_owned()) => fetched.map_err(WorkflowError::from),
        how = interrupts.first() => Err(ConsoleError::Interrupted(how).into()),
    };
    engine.remove(&container).await?;
    if !fetched? {
        return Err(ConsoleError::NoFile { path: path.to_owned() }.into());
    }
    merge(&scratch.path().join(name), &target).map_err(FileError::of(&target))?;
    Ok(target)
}

/// Moves `from` to `to`: into what is there, if both are directories, and else in its place.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() && !from.is_symlink() && to.is_dir() {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            merge(&entry.path(), &to.join(entry.file_name()))?;
        }
        return Ok(());
    }
    fs::rename(from, to)
}
