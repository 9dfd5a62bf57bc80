//! `floe init`: what a repository or a mission begins with.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::questions::{self, Interview};
use crate::cli::session::{self, Session};
use crate::cli::signals;
use crate::config::BaseImage;
use crate::deployment::hubploy;
use crate::git::{self, Tip};
use crate::reference::{EnvironmentName, ImageReference, MissionName, ReferenceError, RegistryPath};
use crate::repository::Repository;
use crate::scaffold::{self, Ci, Scaffold, ScaffoldError, Source};

/// Begin a repository, or a mission in one: from nothing, or from what there is for other tools
///
/// No file is overwritten. Without --mission and --from, what no option says is asked on a terminal.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Where the repository begins; by default the one that this directory lies in, else this directory
    #[arg(value_name = "DIR")]
    root: Option<PathBuf>,
    /// The name of the mission
    #[arg(long, value_name = "MISSION")]
    mission: Option<MissionName>,
    /// The name of its environment
    #[arg(long, value_name = "ENVIRONMENT")]
    env: Option<EnvironmentName>,
    /// Make it from a directory for repo2docker, a repository or mission of the original framework, or a spec of nb-wrangler
    #[arg(long, value_name = "PATH")]
    from: Option<PathBuf>,
    /// Write out the common image, to be changed; without it floe's own is used
    #[arg(long)]
    common: bool,
    /// Whose workflow to write
    #[arg(long)]
    ci: Option<Workflow>,
    /// Write a `deployment.yml` for each deployment of hubploy's layout, and change nothing else
    #[arg(long, conflicts_with_all = ["root", "mission", "env", "from", "common", "ci"])]
    deployments: bool,
}

/// Whose workflow is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Workflow {
    /// GitHub Actions
    Github,
    /// GitLab
    Gitlab,
    /// None
    None,
}

impl Workflow {
    fn ci(self) -> Option<Ci> {
        match self {
            Self::Github => Some(Ci::Github),
            Self::Gitlab => Some(Ci::Gitlab),
            Self::None => None,
        }
    }
}

/// Writes the files, prints their paths, and says what is not carried over and what to do next.
pub async fn execute(global: &Global, args: &InitArgs) -> Result<(), Failure> {
    if args.deployments {
        return deployments(global);
    }
    let (root, is_new) = root(global, args)?;
    let wanted = wanted(global, args, is_new).await?;
    let mut scaffold = missions(args, &wanted, &root, is_new)?;
    if is_new || wanted.common || args.ci.is_some() {
        scaffold = scaffold.and(scaffold::repository(wanted.common, wanted.ci));
    }
    if is_new {
        scaffold = scaffold.with_settings(&wanted.settings());
    }
    let written = scaffold.write(&root)?;
    for path in &written.new {
        output::result(&format!("{}\n", path.display()))?;
    }
    for path in &written.kept {
        output::say(&format!("{} is there already, and stays as it is", path.display()));
    }
    if !scaffold.left.is_empty() {
        output::say("\nnot carried over:");
        for left in &scaffold.left {
            output::tell(&format!("  {}: {}", left.what, left.why));
        }
    }
    if written.new.is_empty() {
        return Err(Failure::new(ExitCode::NothingRan, "all of it is there already"));
    }
    next(&scaffold, args);
    Ok(())
}

/// Where the repository begins, and whether it is a new one.
fn root(global: &Global, args: &InitArgs) -> Result<(PathBuf, bool), Failure> {
    let here = session::directory(global)?;
    let root = match &args.root {
        Some(directory) => here.join(directory),
        None => Repository::around(&here).map_or(here, |repository| repository.root().to_owned()),
    };
    let is_new = !root.join(crate::repository::MISSIONS).is_dir();
    Ok((root, is_new))
}

/// What is wanted, as options or a person say it.
struct Wanted {
    mission: Option<MissionName>,
    environment: Option<EnvironmentName>,
    /// An image; otherwise what a repository begins with.
    base_image: Option<ImageReference>,
    registry: Option<RegistryPath>,
    common: bool,
    ci: Option<Ci>,
}

impl Wanted {
    /// The settings that a new repository begins with.
    fn settings(&self) -> Vec<(&'static str, String)> {
        let base_image = self.base_image.as_ref().map(|image| ("BASE_IMAGE", image.to_string()));
        let registry = self.registry.as_ref().map(|path| ("REGISTRY", path.to_string()));
        base_image.into_iter().chain(registry).collect()
    }
}

/// What the options say, and a person where they say nothing of the mission.
async fn wanted(global: &Global, args: &InitArgs, is_new: bool) -> Result<Wanted, Failure> {
    let settings = global.settings();
    let setting = |name: &str| settings.get(name).map(String::as_str);
    let mut wanted = Wanted {
        mission: args.mission.clone(),
        environment: args.env.clone(),
        base_image: setting("BASE_IMAGE").map_or(Ok(None), base_image)?,
        registry: setting("REGISTRY").map(str::parse).transpose()?,
        common: args.common,
        ci: args.ci.and_then(Workflow::ci),
    };
    if args.mission.is_some() || args.from.is_some() || !questions::may_ask() {
        return Ok(wanted);
    }
    let interrupts = signals::listen()?;
    let mut interview = Interview::new(&interrupts);
    let first = if is_new { "demo" } else { "" };
    let mission = interview
        .value("What is the mission called?", first, named::<MissionName>)
        .await?;
    if args.env.is_none() {
        let question = "What is its environment called?";
        wanted.environment = Some(interview.value(question, mission.as_str(), named).await?);
    }
    wanted.mission = Some(mission);
    if !is_new {
        return Ok(wanted);
    }
    if setting("BASE_IMAGE").is_none() {
        let question = "What do images extend: an image, or debian, made here?";
        let parse = |text: &str| base_image(text).map_err(|error| error.to_string());
        wanted.base_image = interview.value(question, "debian", parse).await?;
    }
    if setting("REGISTRY").is_none() {
        let question = "Where are images pushed, as registry.example.org/hub?";
        let parse = |text: &str| (text != "nowhere").then(|| named(text)).transpose();
        wanted.registry = interview.value(question, "nowhere", parse).await?;
    }
    if !args.common {
        let question = "Write out the common image, to be changed: yes or no?";
        wanted.common = interview.value(question, "no", yes_or_no).await?;
    }
    if args.ci.is_none() {
        let parse = |text: &str| Workflow::from_str(text, true);
        wanted.ci = interview
            .value("Whose workflow: github, gitlab or none?", "none", parse)
            .await?
            .ci();
    }
    Ok(wanted)
}

fn named<T: FromStr<Err = ReferenceError>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: ReferenceError| error.to_string())
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("type yes or no".to_owned()),
    }
}

/// The missions that are asked for.
fn missions(args: &InitArgs, wanted: &Wanted, root: &Path, is_new: bool) -> Result<Scaffold, Failure> {
    if let Some(from) = &args.from {
        let base = wanted
            .base_image
            .clone()
            .map_or(BaseImage::Debian, BaseImage::Reference);
        return Ok(carried_over(args, from, &base)?);
    }
    let name = match &wanted.mission {
        Some(name) => name.clone(),
        None if is_new => "demo".parse::<MissionName>()?,
        None => {
            let message = format!("{} is a repository already", root.display());
            return Err(Failure::new(ExitCode::Usage, message).hint("name a new mission in it with --mission"));
        }
    };
    let environment = match &wanted.environment {
        Some(environment) => environment.clone(),
        None => name.as_str().parse::<EnvironmentName>()?,
    };
    Ok(scaffold::mission(&name, &environment))
}

/// What is made from what there is.
fn carried_over(args: &InitArgs, from: &Path, base: &BaseImage) -> Result<Scaffold, ScaffoldError> {
    match Source::of(from)? {
        Source::Tree(root) => scaffold::original(&root),
        Source::Mission(directory) => scaffold::alone(&directory, args.mission.as_ref()),
        Source::Wrangler(file) => scaffold::wrangler(&file, args.mission.as_ref(), base),
        Source::Repo2docker(directory) => {
            let name = args.mission.clone().map_or_else(|| scaffold::name_of(from), Ok)?;
            scaffold::repo2docker(&directory, &name, args.env.as_ref(), base)
        }
    }
}

/// The image that is extended; `None` where floe makes the base.
fn base_image(text: &str) -> Result<Option<ImageReference>, ReferenceError> {
    (text != "debian").then(|| text.parse()).transpose()
}

/// Says what to do next, in the words that lead there.
fn next(scaffold: &Scaffold, args: &InitArgs) {
    let Some(first) = scaffold.missions.first() else {
        return;
    };
    output::say("\nnext:");
    let directory = args.root.as_ref().filter(|directory| *directory != Path::new("."));
    if let Some(directory) = directory {
        output::say(&format!("  cd {}", directory.display()));
    }
    let floating = if scaffold.frozen {
        ""
    } else {
        ", and writes its frozen specs"
    };
    let steps = [
        (format!("floe plan {first}"), "what would be built".to_owned()),
        (format!("floe build {first}"), format!("builds the image{floating}")),
        (format!("floe test {first}"), "runs its tests".to_owned()),
    ];
    let width = steps.iter().map(|(command, _)| command.len()).max().unwrap_or_default();
    for (command, what) in steps {
        output::say(&format!("  {command:width$}  {what}"));
    }
}

/// Writes a `deployment.yml` for each deployment that has none. Prints the paths of those.
fn deployments(global: &Global) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let root = session.workplace.repository.root();
    let implied = hubploy::implied(root, &|name| git::tip(root, Some(name)) != Tip::None)?;
    if implied.is_empty() {
        let failure = Failure::new(
            ExitCode::NothingRan,
            "deployments/ holds no deployment without a deployment.yml",
        );
        return Err(failure.hint("a deployment is a directory with config/<stage>.yaml"));
    }
    for deployment in implied {
        hubploy::write(root, &deployment)?;
        for note in &deployment.notes {
            output::say(&format!("{}: {note}", deployment.path.display()));
        }
        output::result(&format!("{}\n", deployment.path.display()))?;
    }
    Ok(())
}
