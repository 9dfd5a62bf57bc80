//! `floe status`: what each stage runs.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::json;

use crate::cli::args::{Format, Global};
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::deployment::Held;
use crate::driver::Live;
use crate::quantity::{self, Limit};
use crate::report::amounts::{count, duration};
use crate::workflow::{self, Behind, StageStatus, Status, Told};

/// Show what each stage of each deployment runs
///
/// By itself it reads git and files alone. With --live the driver of each stage is asked, too, with the credentials that are in
/// use: a release of Helm for its values, others for what their status line prints.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The deployments; all otherwise
    #[arg(value_name = "DEPLOYMENT")]
    deployments: Vec<String>,
    /// Ask registries for each image and history for the order of stages, and end with 102 if anything does not hold
    #[arg(long)]
    verify: bool,
    /// Ask the driver of each stage what really runs
    #[arg(long)]
    live: bool,
    /// With --live: how long each driver may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = quantity::parsed::<Limit>, requires = "live")]
    timeout: Limit,
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
    let mut status = workflow::status(workplace, &deployments, args.verify).await?;
    if args.live {
        let limit = args.timeout.0;
        workflow::live(workplace, &session.interrupts, &deployments, &mut status, limit).await?;
    }
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
    let is_live = status.stages.iter().any(|stage| stage.live.is_some());
    let last = if is_live { "LIVE" } else { "" };
    let mut rows = vec![["STAGE", "IMAGE", "SINCE", "CHECK", "BESIDE THE STAGE BEFORE", last].map(str::to_owned)];
    for stage in &status.stages {
        let name = format!(
            "{}/{}{}",
            stage.deployment,
            stage.stage,
            if stage.protected { " *" } else { "" }
        );
        let image = stage.image.as_ref().map(short);
        let runs = stage.live.as_ref().map(|told| beside(told, stage));
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
        rows.push([
            name,
            or_none(image),
            or_none(since),
            check.to_owned(),
            behind,
            runs.unwrap_or_default(),
        ]);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
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

/// An image as people tell it from others: the end of its name, its tag, and the first digits of its digest.
fn short(image: &Held) -> String {
    let tag = image.tag.as_deref().unwrap_or("-");
    let digest = image.digest.as_ref().map(|digest| format!("@{}", digest.short()));
    let name = image.repository.rsplit('/').next().unwrap_or_default();
    format!("{name}:{tag}{}", digest.unwrap_or_default())
}

/// What runs, beside what the files name.
fn beside(told: &Told, stage: &StageStatus) -> String {
    match (told, told.is(stage.image.as_ref())) {
        (Told::Live(_), Some(true)) => "the same".to_owned(),
        (Told::Live(Live::Nothing), _) => "nothing".to_owned(),
        (Told::Live(Live::Runs { image, digest }), _) => {
            let name = image.split('@').next().unwrap_or_default();
            let name = name.rsplit('/').next().unwrap_or_default();
            match digest {
                // It may be named by its digest alone.
                Some(digest) if name == digest.as_str() => digest.short().to_owned(),
                Some(digest) => format!("{name}@{}", digest.short()),
                None => name.to_owned(),
            }
        }
        (Told::Unable, _) => "no status line".to_owned(),
        (Told::Silent(reason), _) => format!("not known: {}", reason.lines().next().unwrap_or_default()),
    }
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
            "image": stage.image.as_ref().map(Held::reference),
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
            "live": stage.live.as_ref().map(|told| live(told, stage)),
            "faults": stage.faults,
        })
    };
    json!({ "stages": status.stages.iter().map(stage).collect::<Vec<_>>() })
}

fn live(told: &Told, stage: &StageStatus) -> serde_json::Value {
    let mut value = json!({ "state": null, "image": null, "digest": null, "reason": null });
    value["as-wanted"] = json!(told.is(stage.image.as_ref()));
    let kind = match told {
        Told::Live(Live::Runs { image, digest }) => {
            value["image"] = json!(image);
            value["digest"] = json!(digest.as_ref().map(ToString::to_string));
            "runs"
        }
        Told::Live(Live::Nothing) => "nothing",
        Told::Unable => "no-status",
        Told::Silent(reason) => {
            value["reason"] = json!(reason);
            "not-known"
        }
    };
    value["state"] = json!(kind);
    value
}
