//! `floe plan`: what is up to date, what is not and why, and what the changes since a commit touch.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::quantity::Limit;
use crate::report::amounts::duration;
use crate::report::untrusted::Untrusted;
use crate::workflow::{self, Freshness, MissionOutlook, Outlook, Part, StageOutlook, WorkflowError};

/// Show what is up to date, what is not, and why
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The missions; all otherwise
    #[arg(value_name = "MISSION")]
    missions: Vec<String>,
    /// Only the missions that changes since this commit touch, those that are not committed included
    ///
    /// Changes count from where this history and that of the commit parted, so a branch is compared with what it began
    /// from: `--since origin/main`.
    #[arg(long, value_name = "COMMIT")]
    since: Option<String>,
    /// How to print it
    #[arg(long, default_value = "text")]
    format: Form,
    /// Divide a mission's tests among jobs, so that those of a job took about this long in earlier runs, one after the other:
    /// 90, 90s, 10m, 1h
    ///
    /// The matrix gets an entry for each part (`partition`, as `floe test --partition` takes it, and `part`, its number), the
    /// pipeline a job for each, one before them that builds the image, and one behind them that reads their reports as one.
    /// What no run here has timed is not divided.
    #[arg(long, value_name = "TIME")]
    part_time: Option<Limit>,
}

/// How a plan is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Text,
    /// For programs
    Json,
    /// The matrix of jobs of GitHub Actions: an entry for each mission with something to do
    GithubMatrix,
    /// A pipeline of GitLab: jobs for each mission with something to do
    Gitlab,
}

/// Prints the plan.
pub async fn execute(global: &Global, args: &PlanArgs) -> Result<(), Failure> {
    let session = Session::open_with_deployments(global, &[])?;
    let workplace = &session.workplace;
    let stages = workflow::stages(workplace, args.since.as_deref()).await?;
    let outlook = match workplace.missions(args.missions.is_empty(), &args.missions) {
        // A repository may hold deployments alone.
        Err(WorkflowError::NoMissions) if workplace.repository.has_deployments() => Outlook {
            since: args.since.clone(),
            ..Outlook::default()
        },
        missions => workflow::outlook(workplace, &missions?, args.since.as_deref()).await?,
    };
    let internal = |error: String| Failure::new(ExitCode::Internal, error);
    let due = || outlook.missions.iter().filter(|mission| is_due(&outlook, mission));
    let jobs = || {
        let jobs = due().map(|mission| {
            let name = &mission.mission;
            let parts = args
                .part_time
                .map(|limit| workflow::parts(workplace, name, limit.0))
                .transpose()?;
            Ok((name.as_str(), parts))
        });
        jobs.collect::<Result<Vec<_>, WorkflowError>>()
    };
    let text = match args.format {
        Form::Text => text(&outlook, &stages),
        Form::Json => {
            let mut value = serde_json::to_value(&outlook).map_err(|error| internal(error.to_string()))?;
            value["stages"] = serde_json::to_value(&stages).map_err(|error| internal(error.to_string()))?;
            format!("{value:#}\n")
        }
        Form::GithubMatrix => {
            let jobs = jobs()?;
            let entries = jobs.iter().flat_map(|(name, parts)| entries(name, *parts));
            format!("{}\n", json!({"include": entries.collect::<Vec<_>>()}))
        }
        Form::Gitlab => pipeline(&jobs()?).map_err(|error| internal(error.to_string()))?,
    };
    output::result(&text)
}

/// Whether a mission is worth a job: it is touched, where a commit was named; else there is something to do for it.
fn is_due(outlook: &Outlook, mission: &MissionOutlook) -> bool {
    outlook.since.is_some() || mission.is_due()
}

/// The entries of a mission: one, or one for each of the parts into which its tests are divided.
fn entries(mission: &str, parts: Option<u32>) -> Vec<Value> {
    match parts {
        None => vec![json!({"mission": mission})],
        Some(parts) => (1..=parts)
            .map(|part| json!({"mission": mission, "part": part, "partition": format!("{part}/{parts}")}))
            .collect(),
    }
}

/// The jobs of missions, each with the number of parts of its tests; one that does nothing where there is none, since a
/// pipeline must hold a job.
fn pipeline(missions: &[(&str, Option<u32>)]) -> Result<String, serde_yaml::Error> {
    let mut jobs = BTreeMap::new();
    for (mission, parts) in missions {
        match parts.unwrap_or(1) {
            1 => drop(jobs.insert(
                format!("floe {mission}"),
                json!({"script": [format!("scripts/image-all {mission}")]}),
            )),
            parts => jobs.extend(divided(mission, parts)),
        }
    }
    if jobs.is_empty() {
        jobs.insert("floe".to_owned(), json!({"script": ["echo no mission is touched"]}));
    }
    serde_yaml::to_string(&jobs)
}

/// The jobs of a mission whose tests are divided: all test one image, which comes to them as a file.
fn divided(mission: &str, parts: u32) -> BTreeMap<String, Value> {
    let (image, build) = (format!("{mission}.tar"), format!("floe {mission}: image"));
    let name = |part: u32| format!("floe {mission}: {part}/{parts}");
    let mut jobs = BTreeMap::from([(
        build.clone(),
        json!({
            "script": [
                format!("scripts/image-build {mission}"),
                format!("docker save --output {image} $(scripts/floe image {mission} --with-parents)"),
            ],
            "artifacts": {"paths": [&image], "expire_in": "1 day"},
        }),
    )]);
    jobs.extend((1..=parts).map(|part| {
        let job = json!({
            "needs": [&build],
            "script": [
                format!("docker load --input {image}"),
                "code=0".to_owned(),
                format!("scripts/image-test {mission} --no-build --partition {part}/{parts} || code=$?"),
                // What is kept is the last attempt, whole.
                format!("scripts/floe report --output parts/{mission}-{part} || true"),
                "exit $code".to_owned(),
            ],
            "artifacts": {"when": "always", "paths": ["parts"]},
        });
        (name(part), job)
    }));
    let needs = (1..=parts).map(name).collect::<Vec<_>>();
    let report = json!({
        "needs": needs,
        "when": "always",
        "script": [format!("scripts/floe report parts/{mission}-* --output merged")],
        "artifacts": {"when": "always", "paths": ["merged"]},
    });
    jobs.insert(format!("floe {mission}"), report);
    jobs
}

fn text(outlook: &Outlook, stages: &[StageOutlook]) -> String {
    let mut rows = outlook.shared.iter().map(|part| row(0, part)).collect::<Vec<_>>();
    for mission in &outlook.missions {
        rows.push(row(0, &mission.image));
        rows.extend(mission.environments.iter().map(|part| row(1, part)));
        rows.push(row(1, &mission.tests));
        rows.extend(touched(&mission.touched_by));
    }
    for stage in stages {
        rows.push(of_stage(stage));
        rows.extend(touched(&stage.touched_by));
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1).min(WIDEST));
    let visible = |text: &str| Untrusted::default().inline(text);
    let mut text = String::new();
    for [name, state, took] in &rows {
        let line = format!("{name:first$}  {state:second$}  {took}");
        text.push_str(visible(&line).trim_end());
        text.push('\n');
    }
    if let Some(since) = &outlook.since {
        let what = match (outlook.missions.len(), outlook.untouched) {
            (0, 0) if !stages.is_empty() => return text,
            (0, 0) => "No stage is touched".to_owned(),
            (0, _) => "No mission is touched".to_owned(),
            (_, 0) => "All missions are touched".to_owned(),
            (_, 1) => "1 mission is not touched".to_owned(),
            (_, untouched) => format!("{untouched} missions are not touched"),
        };
        text.push_str(&visible(&format!("{what} since {since}.")));
        text.push('\n');
    }
    text
}

/// The row that names files which touch what stands above it.
fn touched(paths: &[PathBuf]) -> Option<[String; 3]> {
    let named = paths.iter().take(TOUCHES).map(|path| path.display().to_string());
    let named = named.collect::<Vec<_>>();
    let more = match paths.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!named.is_empty()).then(|| ["  touched by".to_owned(), named.join(", ") + &more, String::new()])
}

fn of_stage(stage: &StageOutlook) -> [String; 3] {
    let how = match (stage.state, &stage.reason) {
        (_, Some(reason)) => reason.as_str(),
        (Freshness::UpToDate, None) => "runs what the stage before it runs",
        (Freshness::Stale | Freshness::Unknown, None) => "first stage",
    };
    let name = format!("stage {}/{}", stage.deployment, stage.stage);
    [name, how.to_owned(), String::new()]
}

/// How many of the files that touch a mission are named.
const TOUCHES: usize = 3;

/// A longer reason pushes what stands behind it to the right.
const WIDEST: usize = 60;

fn row(depth: usize, part: &Part) -> [String; 3] {
    let state = match (part.state, &part.reason) {
        (Freshness::UpToDate, _) => "up to date".to_owned(),
        (Freshness::Stale, Some(reason)) => reason.clone(),
        (Freshness::Stale, None) => "to be done".to_owned(),
        (Freshness::Unknown, _) => "unchanged".to_owned(),
    };
    let took = part.seconds.map(|seconds| format!("took {}", duration(seconds)));
    ["  ".repeat(depth) + &part.name, state, took.unwrap_or_default()]
}
