//! `floe wait`: until a stage runs what its files name, and answers.

use clap::Args;

use crate::cli::args::{Global, OneStage};
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;
use crate::quantity::{self, Limit};
use crate::workflow::{self, WaitOptions, Waited};

/// Wait until the image, the chart, the roll-out and the hub of a stage are there
///
/// What is not there yet is named, with the reason; at the end of the time the call ends in 75. What will never be there, such
/// as an image that the registry does not let these credentials see, ends it at once.
#[derive(Debug, Args)]
pub struct WaitArgs {
    #[command(flatten)]
    stage: OneStage,
    /// How long to wait in all
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = quantity::parsed::<Limit>)]
    timeout: Limit,
}

/// Waits.
pub async fn execute(global: &Global, args: &WaitArgs) -> Result<(), Failure> {
    let session = Session::open_deployments(global, &[])?;
    let OneStage { deployment, stage } = &args.stage;
    let options = WaitOptions { limit: args.timeout.0 };
    let waited = workflow::wait(&session.workplace, &session.interrupts, deployment, stage, options).await?;
    say(deployment, stage, &waited);
    output::tell(&format!("next: floe check {deployment} {stage}"));
    Ok(())
}

/// Says what a stage came to.
pub(super) fn say(deployment: &str, stage: &str, waited: &Waited) {
    for untold in &waited.untold {
        output::tell(&format!("note: {untold}"));
    }
    output::tell(&match &waited.hub {
        Some(version) => format!(
            "{deployment} {stage}: {} is there, and JupyterHub {version} answers",
            waited.image
        ),
        None => format!("{deployment} {stage}: {} is there", waited.image),
    });
}
