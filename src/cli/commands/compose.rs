//! `floe compose`: the Dockerfile of a mission, as the builder gets it.

use clap::Args;

use crate::cli::args::Global;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::cli::session::Session;

/// Print the composed Dockerfile of a mission
#[derive(Debug, Args)]
pub struct ComposeArgs {
    /// The mission; `setup-env` names one otherwise
    mission: Option<String>,
}

/// Prints the Dockerfile.
pub fn execute(global: &Global, args: &ComposeArgs) -> Result<(), Failure> {
    let session = Session::open(global, &[])?;
    let mission = session.workplace.mission(args.mission.as_deref())?;
    let plan = session.workplace.plan(&[mission])?;
    let text = plan.images.last().map(|image| image.dockerfile.text.as_str());
    output::result(text.unwrap_or_default())
}
