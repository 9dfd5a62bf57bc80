//! `floe rollback`: the image that a stage ran before goes into its files again.

use clap::Args;

use super::promote;
use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::workflow::{self, RollBack};

/// Put the image that a stage ran before into its files again, as a commit on a branch of its own
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The deployment
    #[arg(value_name = "DEPLOYMENT")]
    deployment: String,
    /// The stage
    #[arg(value_name = "STAGE")]
    stage: String,
    /// An earlier image of the stage, by its digest or the first digits of that; otherwise the last one that is not recalled
    #[arg(long, value_name = "DIGEST")]
    to: Option<String>,
    #[command(flatten)]
    extent: promote::ExtentArgs,
}

/// Rolls a stage back, and prints the branch with the commit.
pub async fn execute(global: &Global, args: &RollbackArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let workplace = &session.workplace;
    let deployment = workflow::deployment(workplace, &args.deployment)?;
    let stage = deployment.stage(&args.stage)?;
    let options = RollBack {
        to: args.to.as_deref(),
        extent: args.extent.extent(),
    };
    let moved = workflow::rollback(workplace, &deployment, stage, options).await?;
    promote::show(&workplace.repository, stage, &moved)
}
