//! `floe destroy`: a stage is taken down, once its name is typed.

use clap::Args;

use crate::cli::args::{Global, OneStage};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::questions;
use crate::cli::session::Session;
use crate::workflow;

/// Take a stage down by its driver; a protected one never
#[derive(Debug, Args)]
pub struct DestroyArgs {
    #[command(flatten)]
    stage: OneStage,
    /// The name of the stage, where nobody can be asked
    #[arg(long, value_name = "STAGE")]
    confirm: Option<String>,
}

/// Destroys.
pub async fn execute(global: &Global, args: &DestroyArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let OneStage { deployment, stage } = &args.stage;
    let interrupts = &session.interrupts;
    let doomed = workflow::doomed(&session.workplace, interrupts, deployment, stage).await?;
    let typed = match &args.confirm {
        None => {
            let question = format!("To destroy everything of {deployment} {stage}, type the name of the stage:");
            questions::ask(&question, interrupts).await?.text()
        }
        confirm => confirm.clone(),
    };
    let was_there = doomed.destroy(typed.as_deref()).await?;
    let end = if was_there {
        "destroyed"
    } else {
        "nothing was there to destroy"
    };
    output::tell(&format!("{deployment} {stage}: {end}"));
    Ok(())
}
