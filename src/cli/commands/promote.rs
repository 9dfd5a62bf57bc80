//! `floe promote`: the image that the stage before runs goes into a stage's files.

use clap::Args;

use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::deployment::Stage;
use crate::repository::Repository;
use crate::workflow::{self, Extent, Moved, Promote};

/// Put the image that the stage before runs into a stage's files, as a commit on a branch of its own
#[derive(Debug, Args)]
pub struct PromoteArgs {
    /// The deployment
    #[arg(value_name = "DEPLOYMENT")]
    deployment: String,
    /// The stage that is to run the image
    #[arg(value_name = "STAGE")]
    stage: String,
    /// For the first stage: this image, `REPOSITORY:TAG` or `REPOSITORY@DIGEST`; the mission's as it was pushed otherwise
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    extent: ExtentArgs,
}

/// How far to go.
#[derive(Debug, Args)]
pub(super) struct ExtentArgs {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Push the branch to `origin`, too; one that is not taken there is not made here
    #[arg(long, conflicts_with = "dry_run")]
    push: bool,
}

impl ExtentArgs {
    pub(super) fn extent(&self) -> Extent {
        match (self.dry_run, self.push) {
            (true, _) => Extent::Plan,
            (false, true) => Extent::Push,
            (false, false) => Extent::Commit,
        }
    }
}

/// Promotes into a stage, and prints the branch with the commit.
pub async fn execute(global: &Global, args: &PromoteArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let workplace = &session.workplace;
    let deployment = workflow::deployment(workplace, &args.deployment)?;
    let stage = deployment.stage(&args.stage)?;
    let options = Promote {
        image: args.image.as_deref(),
        extent: args.extent.extent(),
    };
    let moved = workflow::promote(workplace, &deployment, stage, options).await?;
    show(&workplace.repository, stage, &moved)
}

/// Says what became of a promotion or a rollback, and what comes next. The result is the branch.
pub(super) fn show(repository: &Repository, stage: &Stage, moved: &Moved) -> Result<(), Failure> {
    match moved {
        Moved::Already(target) => {
            output::say(&format!("{} has {}@{} already", stage.name, target.tag, target.digest));
            Ok(())
        }
        Moved::Planned(promotion, text) => {
            output::say(&format!(
                "would change {} on branch {}:",
                promotion.path.display(),
                promotion.branch
            ));
            let shown = format!("{}\n{text}", difference(&promotion.old, &promotion.new));
            output::result(&output::visible(&shown))
        }
        Moved::Committed {
            promotion,
            commit,
            pushed,
            text,
        } => {
            let onto = stage
                .branch
                .as_deref()
                .map(|branch| format!(", to be merged into {branch}"));
            output::say(&format!(
                "{}\ncommitted as {}{}",
                promotion.message.lines().next().unwrap_or_default(),
                &commit[..commit.len().min(12)],
                onto.unwrap_or_default()
            ));
            output::say(&format!(
                "the text of the pull request is in {}",
                repository.relative(text).display()
            ));
            output::say(&if *pushed {
                format!("origin has branch {} now; next: its pull request", promotion.branch)
            } else {
                format!("next: git push -u origin {}", promotion.branch)
            });
            output::result(&format!("{}\n", promotion.branch))
        }
    }
}

/// The lines that differ, each with a sign before it. Lines are replaced one by one, so they pair up.
fn difference(old: &str, new: &str) -> String {
    let pairs = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
    pairs.flat_map(|(old, new)| ["-", old, "\n+", new, "\n"]).collect()
}
