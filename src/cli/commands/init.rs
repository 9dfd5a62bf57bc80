//! `floe init`: what a repository needs to begin with.

use clap::Args;

use crate::cli::args::Global;
use crate::cli::failure::{ExitCode, Failure};
use crate::cli::output;
use crate::cli::session::Session;
use crate::deployment::hubploy;
use crate::git::{self, Tip};

/// Write what a repository needs to begin with
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Write a `deployment.yml` for each deployment of hubploy's layout, and change nothing else
    #[arg(long, required = true)]
    deployments: bool,
}

/// Writes a `deployment.yml` for each deployment that has none. Prints the paths of those.
pub fn execute(global: &Global, _: &InitArgs) -> Result<(), Failure> {
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
