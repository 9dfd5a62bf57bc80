//! One import in a process of its own.

use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::{OomWatch, Options, Outcome, scratch, timeout_cause};
use crate::event::{Cause, CauseKind, Verdict};
use crate::process::{self, Finished};
use crate::reference::EnvironmentName;

/// Imports the module and writes what became of it. It ends the process itself then: threads and exit handlers of the
/// module bear on nothing any more.
const DRIVER: &str = include_str!("import/driver.py");

/// What the driver wrote. A process that ends in the import, in whatever way, leaves nothing.
#[derive(Debug, Deserialize)]
struct Marker {
    nonce: String,
    #[serde(flatten)]
    result: Ending,
    /// In bytes; empty where it could not be read.
    peak_memory: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "result", rename_all = "lowercase")]
enum Ending {
    Imported,
    Exited { code: String, traceback: String },
    Raised { message: String, traceback: String },
}

/// Imports `module` in an empty directory. It passes if the driver says so, never because of an exit code.
pub async fn run(environment: &EnvironmentName, module: &str, options: &Options) -> Outcome {
    let directory = match scratch(&options.scratch) {
        Ok(directory) => directory,
        Err(cause) => return Outcome::of(Verdict::Failed(cause)),
    };
    let working = directory.path().join("work");
    if let Err(error) = fs::create_dir(&working) {
        return Outcome::failed(CauseKind::Infra, format!("cannot make {}: {error}", working.display()));
    }
    let marker = directory.path().join("marker.json");
    let nonce = uuid::Uuid::new_v4().to_string();
    let python = options.python(environment);
    let mut command = options.activated(environment, &python);
    command
        .args(["-c", DRIVER, module])
        .arg(&marker)
        .arg(&nonce)
        .current_dir(&working);
    let watch = OomWatch::start();
    let finished = match process::run(command, options.import_timeout, options.grace).await {
        Ok(finished) => finished,
        Err(error) => return Outcome::failed(CauseKind::Error, error.to_string()),
    };
    let marker = read(&marker, &nonce);
    let verdict = match &marker {
        Some(marker) => verdict(module, &marker.result),
        None => Verdict::Failed(unmarked(module, &finished, &watch, options)),
    };
    Outcome {
        peak_memory: marker.and_then(|marker| marker.peak_memory.parse().ok()),
        ..Outcome::of_ended(verdict, finished.ended, &watch)
    }
}

fn read(path: &Path, nonce: &str) -> Option<Marker> {
    let marker: Marker = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (marker.nonce == nonce).then_some(marker)
}

fn verdict(module: &str, result: &Ending) -> Verdict {
    match result {
        Ending::Imported => Verdict::Passed,
        Ending::Exited { code, traceback } => {
            let message = format!("importing {module} called sys.exit({code})");
            Verdict::Failed(Cause::new(CauseKind::EarlyExit, message).with_detail(traceback))
        }
        Ending::Raised { message, traceback } => {
            Verdict::Failed(Cause::new(CauseKind::Error, message).with_detail(traceback))
        }
    }
}

fn unmarked(module: &str, finished: &Finished, watch: &OomWatch, options: &Options) -> Cause {
    let what = format!("the import of {module}");
    let cause = if finished.timed_out {
        timeout_cause(&what, options.import_timeout)
    } else {
        watch.cause(&what, finished.ended.exit)
    };
    cause.with_detail(&finished.ended.output)
}
