//! The test script of an environment, and the verdict on any script.

use std::path::Path;

use super::{OomWatch, Options, Outcome, timeout_cause};
use crate::event::{Cause, CauseKind, Verdict};
use crate::process::{self, Exit};
use crate::reference::EnvironmentName;

/// Runs the script in its directory with the environment active. It passes if it ends with exit code 0.
pub(super) async fn run(environment: &EnvironmentName, path: &Path, options: &Options) -> Outcome {
    let absolute = match std::path::absolute(path) {
        Ok(absolute) => absolute,
        Err(error) => return Outcome::failed(CauseKind::Infra, format!("{}: {error}", path.display())),
    };
    let mut command = options.activated(environment, &absolute);
    command.current_dir(absolute.parent().unwrap_or(Path::new("/")));
    let watch = OomWatch::start();
    let finished = match process::run(command, options.script_timeout, options.grace).await {
        Ok(finished) => finished,
        Err(error) => return Outcome::failed(CauseKind::Error, error.to_string()),
    };
    let verdict = match finished.ended.exit {
        _ if finished.timed_out => Verdict::Failed(timeout_cause("the script", options.script_timeout)),
        exit => verdict(exit, &watch),
    };
    Outcome::of_ended(verdict, finished.ended, &watch)
}

/// The verdict on a script that ended like this. `None`: it could not be killed.
#[must_use]
pub fn verdict(exit: Option<Exit>, watch: &OomWatch) -> Verdict {
    match exit {
        Some(exit) if exit.success() => Verdict::Passed,
        Some(exit @ Exit::Code(_)) => {
            Verdict::Failed(Cause::new(CauseKind::Error, format!("the script failed with {exit}")))
        }
        exit => Verdict::Failed(watch.cause("the script", exit)),
    }
}
