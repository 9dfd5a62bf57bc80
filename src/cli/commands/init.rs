//! `floe init`: what a repository or a mission begins with.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::{self, Session};
use crate::config::BaseImage;
use crate::deployment::hubploy;
use crate::git::{self, Tip};
use crate::reference::{EnvironmentName, ImageReference, MissionName};
use crate::repository::Repository;
use crate::scaffold::{self, Ci, Scaffold, ScaffoldError, Source};

/// Begin a repository, or a mission in one: from nothing, or from what there is for other tools
///
/// No file is overwritten. What is not told is asked, on a terminal.
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

/// Writes the files, prints their paths, and says what is not carried over and what to do next.
pub async fn execute(global: &Global, args: &InitArgs) -> Result<(), Failure> {
    if args.deployments {
        return deployments(global);
    }
    let (root, is_new) = root(global, args)?;
    let base_image = base_image(global)?;
    let mut scaffold = missions(args, &root, is_new, &base_image).await?;
    if is_new || args.common || args.ci.is_some() {
        let ci = workflow(args, is_new).await;
        scaffold = scaffold.and(scaffold::repository(args.common, ci));
    }
    if is_new {
        scaffold = scaffold.with_settings(&given(global));
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

/// The missions that are asked for.
async fn missions(args: &InitArgs, root: &Path, is_new: bool, base: &BaseImage) -> Result<Scaffold, Failure> {
    if let Some(from) = &args.from {
        return Ok(carried_over(args, from, base)?);
    }
    let name = match &args.mission {
        Some(name) => name.clone(),
        None if is_new => match output::ask("What is the first mission called? [demo]").await {
            Some(name) => name.parse::<MissionName>()?,
            None => "demo".parse::<MissionName>()?,
        },
        None => {
            let message = format!("{} is a repository already", root.display());
            return Err(Failure::new(ExitCode::Usage, message).hint("name a new mission in it with --mission"));
        }
    };
    let environment = match &args.env {
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

/// The workflow that is asked for. A new repository on a terminal is asked.
async fn workflow(args: &InitArgs, is_new: bool) -> Option<Ci> {
    let named = match args.ci {
        None if is_new => output::ask("Whose workflow shall be written: github, gitlab or none? [none]").await,
        _ => None,
    };
    let asked = named.and_then(|named| Workflow::from_str(&named, true).ok());
    match args.ci.or(asked) {
        Some(Workflow::Github) => Some(Ci::Github),
        Some(Workflow::Gitlab) => Some(Ci::Gitlab),
        Some(Workflow::None) | None => None,
    }
}

/// What the base image is, as far as the call says.
fn base_image(global: &Global) -> Result<BaseImage, Failure> {
    match global.settings().get("BASE_IMAGE").map(String::as_str) {
        None | Some("debian") => Ok(BaseImage::Debian),
        Some(reference) => Ok(BaseImage::Reference(reference.parse::<ImageReference>()?)),
    }
}

/// The settings that the call gives.
fn given(global: &Global) -> Vec<(&'static str, String)> {
    let given = global.settings().into_iter();
    given.filter(|(name, _)| *name != "USE_FROZEN").collect()
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
        ", and writes what it was made of into frozen specs"
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
