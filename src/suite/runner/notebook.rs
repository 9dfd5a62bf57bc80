//! One notebook on its environment's kernel.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::servers::Servers;
use super::{OomWatch, Options, Outcome, scratch, unless_leaked};
use super::{cause, directory};
use crate::event::{Cause, CauseKind, Verdict};
use crate::image;
use crate::kernel::connection::Message;
use crate::kernel::execution::{CellEnd, Limits, Request};
use crate::kernel::spec::KernelSpec;
use crate::kernel::{KernelError, Launch};
use crate::process::capture::Capture;
use crate::process::memory;
use crate::reference::{Digest, EnvironmentName};
use crate::suite::notebook::{CodeCell, Notebook};
use crate::suite::outputs::Outputs;

/// Which notebook is run.
pub struct File<'a> {
    /// The environment whose kernel runs it.
    pub environment: &'a EnvironmentName,
    /// Its name in the plan.
    pub name: &'a str,
    /// The file.
    pub path: &'a Path,
    /// The directory that is copied with it.
    pub root: &'a Path,
}

/// Where a notebook runs.
struct Place<'a> {
    environment: &'a EnvironmentName,
    spec: &'a KernelSpec,
    directory: &'a Path,
}

/// What was printed and shown so far.
struct Shown {
    outputs: Outputs,
    printed: Capture,
}

/// Runs the notebook in a private copy of its directory and writes it with its outputs, whatever its verdict.
pub async fn run(file: File<'_>, options: &Options, servers: &Servers<'_>) -> Outcome {
    let mut notebook = match Notebook::load(file.path) {
        Ok(notebook) => notebook,
        Err(error) => return Outcome::failed(CauseKind::Error, error.to_string()),
    };
    let spec = match kernel_of(file.environment, options) {
        Ok(spec) => spec,
        Err(error) => return Outcome::of(Verdict::Failed(cause::of_start(error))),
    };
    let scratch = match scratch(&options.scratch) {
        Ok(scratch) => scratch,
        Err(cause) => return Outcome::of(Verdict::Failed(cause)),
    };
    let directory = match private_copy(&file, scratch.path()).await {
        Ok(directory) => directory,
        Err(cause) => return Outcome::of(Verdict::Failed(cause)),
    };
    notebook.clear();
    let cells = notebook.code_cells();
    let mut shown = Shown {
        outputs: Outputs::new(cells.last().map_or(0, |cell| cell.index + 1), options.notebook_output),
        printed: Capture::default(),
    };
    let limit = notebook.timeout().unwrap_or(options.notebook_timeout);
    let place = Place {
        environment: file.environment,
        spec: &spec,
        directory: &directory,
    };
    let mut outcome = execute(place, servers, &cells, limit, options, &mut shown).await;
    let mut outputs = shown.outputs.finish();
    for cell in &cells {
        let (outputs, execution_count) = std::mem::take(&mut outputs[cell.index]);
        notebook.set_outputs(cell.index, outputs, execution_count);
    }
    outcome.output.insert_str(0, &shown.printed.text());
    let artifact = artifact(file.environment, file.name);
    match notebook.save(&options.artifacts.join(&artifact)) {
        Ok(()) => outcome.notebook = Some(artifact),
        Err(error) => {
            // The verdict stands; only its evidence is missing.
            let note = format!("[floe: the executed notebook was not written: {error}]\n");
            outcome.output.push_str(&note);
        }
    }
    outcome
}

/// The kernel of the environment, by the first of its names that there is. Where there is none, the error names the
/// last one.
fn kernel_of(environment: &EnvironmentName, options: &Options) -> Result<KernelSpec, KernelError> {
    let mut names = image::kernels(environment).map(|name| options.kernels.find(name));
    let first = names.next().expect("an environment has a name");
    names.fold(first, |found, next| match found {
        Err(KernelError::Unknown { .. }) => next,
        found => found,
    })
}

/// Copies the notebook's directory and returns where the notebook itself lies in the copy.
async fn private_copy(file: &File<'_>, scratch: &Path) -> Result<PathBuf, Cause> {
    let (root, target) = (file.root.to_owned(), scratch.join("work"));
    let below = file
        .path
        .parent()
        .and_then(|parent| parent.strip_prefix(file.root).ok());
    let directory = target.join(below.unwrap_or(Path::new("")));
    let copied = tokio::task::spawn_blocking(move || directory::copy(&root, &target)).await;
    match copied {
        Ok(Ok(())) => Ok(directory),
        Ok(Err(error)) => Err(Cause::new(CauseKind::Infra, error.to_string())),
        Err(error) => Err(Cause::new(
            CauseKind::Infra,
            format!("the copy was not finished: {error}"),
        )),
    }
}

async fn execute(
    place: Place<'_>,
    servers: &Servers<'_>,
    cells: &[CodeCell],
    limit: Duration,
    options: &Options,
    shown: &mut Shown,
) -> Outcome {
    let watch = OomWatch::start();
    let deadline = Instant::now() + limit;
    let python = image::python(&options.conda_dir);
    let launch = Launch {
        spec: place.spec,
        python: &python,
        directory: place.directory,
        environment: &options.variables,
        scratch: &options.scratch,
        ready: options.ready_timeout.min(limit),
    };
    let mut kernel = match servers.kernel(place.environment, launch).await {
        Ok(kernel) => kernel,
        Err(error) => return Outcome::of(Verdict::Failed(cause::of_start(error))),
    };
    let mut failed = None;
    for cell in cells.iter().filter(|cell| !cell.skipped) {
        let own = cell.timeout.unwrap_or(options.cell_timeout);
        let own_deadline = Instant::now() + own;
        let request = Request::new(&cell.source);
        shown.outputs.begin(request.id(), cell.index);
        let limits = Limits {
            deadline: own_deadline.min(deadline),
            grace: options.grace,
            settle: options.settle,
        };
        let end = kernel
            .execute(request, limits, &mut |message| shown.take(message))
            .await;
        if !fulfilled(cell, &end) {
            failed = Some((
                cell,
                end,
                if own_deadline < deadline {
                    ("the cell", own)
                } else {
                    ("the notebook", limit)
                },
            ));
            break;
        }
    }
    let peak_memory = memory::peak(kernel.pid());
    let hopeless = matches!(
        failed,
        Some((
            _,
            CellEnd::TimedOut { interrupted: false } | CellEnd::Silent | CellEnd::AskedForInput,
            _
        ))
    );
    let ended = if hopeless {
        kernel.kill().await
    } else {
        kernel.end().await
    };
    let verdict = match failed {
        None => unless_leaked(Verdict::Passed, &ended),
        Some((cell, end, limit)) => Verdict::Failed(cause::of_cell(cell, end, limit, &ended, &watch, options)),
    };
    Outcome {
        peak_memory,
        ..Outcome::of_ended(verdict, ended, &watch)
    }
}

/// Whether a cell did what it should: run to its end, or raise an exception where that is asked for.
fn fulfilled(cell: &CodeCell, end: &CellEnd) -> bool {
    match end {
        CellEnd::Completed => !cell.raises,
        CellEnd::Raised { .. } => cell.raises,
        _ => false,
    }
}

/// Where the executed notebook is written, relative to the artifacts; no two notebooks of an environment share a place.
fn artifact(environment: &EnvironmentName, name: &str) -> String {
    const OUTSIDE: &str = "_outside";
    let path = Path::new(name);
    let inside = path.is_relative() && !path.starts_with("..") && !path.starts_with(OUTSIDE);
    if inside {
        return format!("notebooks/{environment}/{name}");
    }
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    format!(
        "notebooks/{environment}/{OUTSIDE}/{}/{file}",
        Digest::of(name.as_bytes()).short()
    )
}

impl Shown {
    fn take(&mut self, message: &Message) {
        if message.kind == "stream" {
            self.printed
                .push(message.content["text"].as_str().unwrap_or_default().as_bytes());
        }
        if message.dropped > 0 {
            self.outputs.miss(&message.parent, message.dropped);
            let note = format!("\n[floe: {} bytes of one message are not kept]\n", message.dropped);
            self.printed.push(note.as_bytes());
        }
        self.outputs.take(&message.kind, &message.parent, &message.content);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_notebook_is_written_over_another_or_outside_the_artifacts() {
        let environment = "a".parse().unwrap();
        let names = [
            "x.ipynb",
            "sub/x.ipynb",
            "/x.ipynb",
            "../x.ipynb",
            "/y/x.ipynb",
            "_outside/x.ipynb",
        ];
        let places: std::collections::HashSet<_> = names.iter().map(|name| artifact(&environment, name)).collect();
        assert_eq!(places.len(), names.len());
        assert!(
            places
                .iter()
                .all(|place| place.starts_with("notebooks/a/") && !place.contains(".."))
        );
    }
}
