//! One notebook on its environment's kernel.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::cause;
use super::directory::{self, CopyError};
use super::links::Links;
use super::servers::Servers;
use super::shown::Shown;
use super::{OomWatch, Options, Outcome, scratch, unless_leaked};
use crate::event::{Cause, CauseKind, Verdict};
use crate::image;
use crate::kernel::execution::{CellEnd, Limits, Request};
use crate::kernel::spec::KernelSpec;
use crate::kernel::{Kernel, KernelError, Launch};
use crate::process::memory;
use crate::reference::{Digest, EnvironmentName};
use crate::suite::notebook::{CodeCell, Notebook};

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

/// Runs the notebook in a private copy of its directory and writes it with its outputs, whatever its verdict.
pub async fn run(file: File<'_>, options: &Options, (servers, links): (&Servers<'_>, &Arc<Links>)) -> Outcome {
    let mut notebook = match Notebook::load(file.path) {
        Ok(notebook) => notebook,
        Err(error) => return Outcome::failed(CauseKind::Error, error.to_string()),
    };
    let own = notebook.kernel().filter(|_| options.own_kernels);
    let spec = match own.map_or_else(
        || kernel_of(file.environment, options),
        |name| options.kernels.find(name),
    ) {
        Ok(spec) => spec,
        Err(error) => return Outcome::of(Verdict::Failed(cause::of_start(error))),
    };
    let scratch = match scratch(&options.scratch) {
        Ok(scratch) => scratch,
        Err(cause) => return Outcome::of(Verdict::Failed(cause)),
    };
    let copied = match private_copy(&file, scratch.path(), (&options.scratch, links)).await {
        Ok(copied) => copied,
        Err(cause) => return Outcome::of(Verdict::Failed(cause)),
    };
    notebook.clear();
    let cells = notebook.code_cells();
    let mut shown = Shown::new(cells.last().map_or(0, |cell| cell.index + 1), options.notebook_output);
    for text in &copied.lacks {
        shown.note(text);
    }
    let limit = notebook.timeout().unwrap_or(options.notebook_timeout);
    let place = Place {
        environment: file.environment,
        spec: &spec,
        directory: &copied.directory,
    };
    let mut outcome = execute(place, servers, &cells, limit, options, &mut shown).await;
    let printed = shown.write(&mut notebook, &cells);
    outcome.output.insert_str(0, &printed);
    outcome.notes = copied.lacks;
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

/// A private copy of a notebook's directory.
struct Copy {
    /// Where the notebook itself lies in it.
    directory: PathBuf,
    /// What the notebook does not find there, a sentence each.
    lacks: Vec<String>,
}

/// Copies the notebook's directory.
///
/// What a notebook finds depends on where it is, not on how it is named.
async fn private_copy(file: &File<'_>, scratch: &Path, (all, links): (&Path, &Arc<Links>)) -> Result<Copy, Cause> {
    let infra = |reason: String| Cause::new(CauseKind::Infra, reason);
    let place =
        |path: &Path| fs::canonicalize(path).map_err(|error| infra(format!("cannot copy {}: {error}", path.display())));
    let own = place(file.path.parent().unwrap_or(file.root))?;
    let root = place(file.root)?;
    let (root, below) = match own.strip_prefix(&root) {
        Ok(below) => (root, below.to_owned()),
        Err(_) => (own, PathBuf::new()),
    };
    let (target, all, links) = (scratch.join("work"), place(all)?, links.clone());
    let copied = tokio::task::spawn_blocking(move || {
        let copied = directory::copy(&root, &target, &all, &links)?;
        let lacks = copied.lacks(&root);
        Ok::<_, CopyError>((copied.directory, lacks))
    });
    let (directory, lacks) = copied
        .await
        .map_err(|error| infra(format!("the copy was not finished: {error}")))?
        .map_err(|error| infra(error.to_string()))?;
    Ok(Copy {
        directory: directory.join(below),
        lacks,
    })
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
    // A server forks the kernels of the environment, not those that notebooks name themselves.
    let started = if options.own_kernels {
        Kernel::start(launch).await
    } else {
        servers.kernel(place.environment, launch).await
    };
    let mut kernel = match started {
        Ok(kernel) => kernel,
        Err(error) => return Outcome::of(Verdict::Failed(cause::of_start(error))),
    };
    shown.language = kernel.language().clone();
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
        for (comm, outputs) in shown.untold() {
            let update = json!({"method": "update", "state": {"outputs": outputs}, "buffer_paths": []});
            // A kernel that is gone is told of by the next cell.
            let _ = kernel
                .tell(&comm, update.as_object().cloned().unwrap_or_default())
                .await;
        }
        let exception = shown.exception.take();
        if let Some(exception) = exception.filter(|_| !cell.raises) {
            let number = cell.index + 1;
            shown.note(&format!("cell {number} showed an exception and went on: {exception}"));
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
