//! `floe status`: what each stage runs.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::report::amounts::{count, duration};
use crate::workflow::{self, Behind, StageStatus, Status};

/// Show what each stage of each deployment runs
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The deployments; all otherwise
    #[arg(value_name = "DEPLOYMENT")]
    deployments: Vec<String>,
    /// Ask registries for each image and history for the order of stages, and end with 102 if anything does not hold
    #[arg(long)]
    verify: bool,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Format,
}

/// Prints what stages run.
pub async fn execute(global: &Global, args: &StatusArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let workplace = &session.workplace;
    let deployments = workflow::deployments(workplace, &args.deployments)?;
    if deployments.is_empty() {
        let failure = Failure::new(
            ExitCode::NothingRan,
            "deployments/ holds no deployment with a deployment.yml",
        );
        return Err(failure.hint("`floe init --deployments` writes one for each that hubploy knows"));
    }
    let status = workflow::status(workplace, &deployments, args.verify).await?;
    let shown = match args.format {
        Format::Text => output::visible(&text(&status)),
        Format::Json => format!("{:#}\n", json(&status)),
    };
    output::result(&shown)?;
    let faults = status.stages.iter().map(|stage| stage.faults.len()).sum::<usize>();
    match (args.verify, faults) {
        (false, _) | (true, 0) => Ok(()),
        (true, 1) => Err(Failure::new(ExitCode::Refused, "1 thing does not hold")),
        (true, faults) => Err(Failure::new(ExitCode::Refused, format!("{faults} things do not hold"))),
    }
}

fn text(status: &Status) -> String {
    let mut rows = vec![["STAGE", "IMAGE", "SINCE", "CHECK", "BESIDE THE STAGE BEFORE"].map(str::to_owned)];
    for stage in &status.stages {
        let name = format!(
            "{}/{}{}",
            stage.deployment,
            stage.stage,
            if stage.protected { " *" } else { "" }
        );
        let image = stage.image.as_ref().map(|image| {
            let tag = image.tag.as_deref().unwrap_or("-");
            let digest = image.digest.as_ref().map(|digest| format!("@{}", digest.short()));
            format!(
                "{}:{tag}{}",
                image.repository.rsplit('/').next().unwrap_or_default(),
                digest.unwrap_or_default()
            )
        });
        let since = stage
            .since
            .as_ref()
            .map(|(commit, time)| format!("{} ({})", age(*time), &commit[..commit.len().min(8)]));
        let check = match stage.checked {
            Some(true) => "passed",
            Some(false) => "failed",
            None => "-",
        };
        let behind = match stage.behind {
            Behind::First | Behind::Unknown => String::new(),
            Behind::Same => "the same image".to_owned(),
            Behind::Differs => match stage.differing {
                Some(packages) => format!("another image, {} apart", count(packages, "package")),
                None => "another image".to_owned(),
            },
        };
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        rows.push([name, or_none(image), or_none(since), check.to_owned(), behind]);
    }
    let widths = [0, 1, 2, 3, 4].map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    if status.stages.iter().any(|stage| stage.protected) {
        text.push_str("* protected\n");
    }
    for stage in &status.stages {
        for fault in &stage.faults {
            let _ = writeln!(text, "{}/{}: {fault}", stage.deployment, stage.stage);
        }
    }
    text
}

/// How long ago a time in seconds since 1970 was.
fn age(time: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let seconds = now.saturating_sub(u64::try_from(time).unwrap_or(0));
    match seconds / 86_400 {
        #[expect(clippy::cast_precision_loss, reason = "less than a day")]
        0 => format!("{} ago", duration(seconds as f64)),
        1 => "1 day ago".to_owned(),
        days => format!("{days} days ago"),
    }
}

fn json(status: &Status) -> serde_json::Value {
    let stage = |stage: &StageStatus| {
        json!({
            "deployment": stage.deployment.as_str(),
            "stage": stage.stage.as_str(),
            "protected": stage.protected,
            "image": stage.image.as_ref().map(crate::deployment::Held::reference),
            "digest": stage.image.as_ref().and_then(|image| image.digest.as_ref()).map(ToString::to_string),
            "commit": stage.since.as_ref().map(|(commit, _)| commit),
            "since": stage.since.as_ref().map(|(_, time)| time),
            "checked": stage.checked,
            "same-as-before": match stage.behind {
                Behind::Same => Some(true),
                Behind::Differs => Some(false),
                Behind::First | Behind::Unknown => None,
            },
            "packages-differing": stage.differing,
            "url": stage.url,
            "faults": stage.faults,
        })
    };
    json!({ "stages": status.stages.iter().map(stage).collect::<Vec<_>>() })
}
