//! `floe config`: the values that a stage's hub is installed with, and where each comes from.

use clap::Args;

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::values::{self, Remark, Source};
use crate::workflow;

/// Show the values of a stage as Helm merges them, and the file and line that each comes from
///
/// Lists that replace others, and keys that nobody knows, are named. What the chart knows, its schema and its values say, and
/// those of the charts in its `charts/`, where `helm dependency build` puts them.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// The deployment
    #[arg(value_name = "DEPLOYMENT")]
    deployment: String,
    /// The stage
    #[arg(value_name = "STAGE")]
    stage: String,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints the values of a stage. Its secrets are hidden.
pub fn execute(global: &Global, args: &ConfigArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let workplace = &session.workplace;
    let deployment = workflow::deployment(workplace, &args.deployment)?;
    let stage = deployment.stage(&args.stage)?;
    let found = workflow::config(workplace, &deployment, stage)?;
    if let (Some(commit), Some(branch)) = (&found.commit, &stage.branch) {
        let commit = &commit[..commit.len().min(12)];
        output::say(&format!("the values are those of branch {branch}, at {commit}"));
    }
    let remarks = found.merged.remarks.iter().map(say);
    for remark in remarks.chain(found.faults.iter().cloned()) {
        output::warn(&remark);
    }
    let origin = |source: &Source| source.place().to_string();
    let hidden = |source: &Source| *source.file == *found.secrets;
    match args.format {
        Format::Text => {
            let text = values::yaml(&found.merged.values, &origin, &hidden);
            output::result(&output::visible(&text))
        }
        Format::Json => {
            let json = values::json(&found.merged.values, &origin, &hidden);
            let text = serde_json::to_string_pretty(&json)
                .map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
            output::result(&(text + "\n"))
        }
    }
}

fn say(remark: &Remark) -> String {
    match remark {
        Remark::ListReplaced {
            field,
            by,
            replaced,
            lost,
        } => {
            let gone = if *lost == 1 {
                "1 entry of that is gone".to_owned()
            } else {
                format!("{lost} entries of that are gone")
            };
            format!(
                "{}: {field} replaces the whole list of {}; {gone}",
                by.place(),
                replaced.place()
            )
        }
        Remark::Mixed { field, by, replaced } => format!(
            "{}: {field} is a map here or in {}, and something else in the other; only this one counts",
            by.place(),
            replaced.place()
        ),
        Remark::Unknown { field, by, meant } => {
            let meant = meant.as_ref().map(|meant| format!("; is {meant} meant?"));
            format!("{}: nobody knows {field}{}", by.place(), meant.unwrap_or_default())
        }
    }
}
